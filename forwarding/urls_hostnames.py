"""URLs of hostnames."""

from django.urls import path

from forwarding.views import hostname_answers, hostnames

urlpatterns = [
    path("hostnames/", hostnames.hostname_list, name="hostnames"),
    path("hostnames/new/", hostnames.new, name="new_hostname"),
    path("hostnames/<int:pk>/", hostnames.hostname, name="hostname"),
    path("hostnames/<int:pk>/edit/", hostnames.edit, name="edit_hostname"),
    path("hostnames/<int:pk>/switch/", hostnames.switch, name="switch_hostname"),
    path("hostnames/<int:pk>/delete/", hostnames.delete, name="delete_hostname"),
    path("hostnames/<int:pk>/answers/", hostname_answers.ask, name="ask_hostname"),
]
