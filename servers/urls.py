"""URLs of servers."""

from django.urls import path

from servers.views import contact, lists, rollouts, server

app_name = "servers"
urlpatterns = [
    path("", lists.servers, name="list"),
    path("map/", lists.server_map, name="map"),
    path("key/", lists.identity, name="identity"),
    path("check/", lists.check_all, name="check_all"),
    path("new/", server.new, name="new"),
    path("new/suggestion/", server.suggestion, name="suggestion"),
    path("rollouts/", rollouts.rollouts, name="rollouts"),
    path("rollouts/waiting/", rollouts.roll_out_waiting, name="roll_out_waiting"),
    path("<int:pk>/", server.server, name="server"),
    path("<int:pk>/edit/", server.edit, name="edit"),
    path("<int:pk>/delete/", server.delete, name="delete"),
    path("<int:pk>/check/", contact.check, name="check"),
    path("<int:pk>/host-keys/<int:key>/accept/", contact.accept_host_key, name="accept_host_key"),
    path("<int:pk>/host-keys/<int:key>/reject/", contact.reject_host_key, name="reject_host_key"),
    path("<int:pk>/host-keys/<int:key>/remove/", contact.remove_host_key, name="remove_host_key"),
    path("<int:pk>/unix-users/new/", server.new_unix_user, name="new_unix_user"),
    path("<int:pk>/unix-users/<int:unix_user_pk>/remove/", server.remove_unix_user, name="remove_unix_user"),
    path("<int:pk>/rollouts/roll-out/", rollouts.roll_out_all, name="roll_out_all"),
    path("<int:pk>/rollouts/<slug:kind>/", rollouts.rollout, name="rollout"),
    path("<int:pk>/rollouts/<slug:kind>/roll-out/", rollouts.roll_out, name="roll_out"),
    path("<int:pk>/rollouts/<slug:kind>/look/", rollouts.look, name="look"),
    path("<int:pk>/rollouts/<slug:kind>/adopt/", rollouts.adopt, name="adopt"),
]
