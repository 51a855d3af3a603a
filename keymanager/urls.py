"""URLs of the keymanager. What hosts curl is answered before Django: see endpoint.py."""

from django.urls import path

from keymanager.views import access, departures, fetching, from_url, groups, keys, passwords

app_name = "keymanager"
urlpatterns = [
    path("", access.overview, name="overview"),
    path("servers/<int:pk>/", access.server, name="server"),
    path("people/<int:pk>/", access.person, name="person"),
    path("people/<int:pk>/departure/open.csv", departures.still_open_csv, name="departure_open"),
    path("people/<int:pk>/departure/ask/", departures.ask_again, name="departure_ask"),
    path("departures/hosts/<int:pk>/confirm/", departures.confirm, name="departure_confirm"),
    path("servers/<int:pk>/fetching/install/", fetching.install, name="install"),
    path("servers/<int:pk>/fetching/now/", fetching.fetch_now, name="fetch_now"),
    path("servers/<int:pk>/fetching/script/", fetching.script, name="install_script"),
    path("servers/<int:pk>/fetching/token/", fetching.replace_token, name="replace_token"),
    path("servers/<int:pk>/fetching/again/", fetching.send_again, name="send_again"),
    path("servers/<int:pk>/fetching/stop/", fetching.uninstall, name="uninstall"),
    path("servers/<int:pk>/passwords/refuse/", passwords.refuse, name="refuse_passwords"),
    path("servers/<int:pk>/passwords/accept/", passwords.accept, name="accept_passwords"),
    path("fetch/", fetching.fetch_all_now, name="fetch_all_now"),
    path("signing/", fetching.signing, name="signing"),
    path("mine/", keys.my_keys, name="my_keys"),
    path("keys/", keys.all_keys, name="keys"),
    path("keys/<int:pk>/delete/", keys.delete, name="delete_key"),
    path("people/<int:pk>/keys/", keys.person_keys, name="person_keys"),
    path("servers/<int:pk>/keys/", keys.server_keys, name="server_keys"),
    path("servers/<int:pk>/keys/read/", keys.read_keys, name="read_keys"),
    path("unix-users/<int:pk>/keys/", keys.add_unix_user_keys, name="unix_user_keys"),
    path("from-url/<int:pk>/", from_url.choose, name="from_url"),
    path("from-url/<int:pk>/drop/", from_url.drop, name="drop_from_url"),
    path("offered/<int:pk>/", keys.offered, name="offered_key"),
    path("groups/", groups.group_list, name="groups"),
    path("groups/new/", groups.new, name="new_group"),
    path("groups/recommended/<slug:key>/", groups.recommended, name="recommended_group"),
    path("groups/<int:pk>/", groups.group, name="group"),
    path("groups/<int:pk>/edit/", groups.edit, name="edit_group"),
    path("groups/<int:pk>/delete/", groups.delete, name="delete_group"),
    path("groups/<int:pk>/<slug:part>/add/", groups.add, name="group_add"),
    path("groups/<int:pk>/<slug:part>/<int:row>/remove/", groups.remove, name="group_remove"),
]
