"""URLs of shares."""

from django.urls import path

from samba.views import folders, passwords, shares

app_name = "samba"
urlpatterns = [
    path("shares/", shares.share_list, name="shares"),
    path("shares/new/", shares.new, name="new_share"),
    path("servers/<int:pk>/folders/", folders.folders, name="folders"),
    path("servers/<int:pk>/folders/look/", folders.look, name="look_into"),
    path("shares/renew/", passwords.renew_all, name="renew_all"),
    path("shares/<int:pk>/", shares.share, name="share"),
    path("shares/<int:pk>/edit/", shares.edit, name="edit_share"),
    path("shares/<int:pk>/switch/", shares.switch, name="switch_share"),
    path("shares/<int:pk>/delete/", shares.delete, name="delete_share"),
    path("shares/<int:pk>/password/", passwords.show, name="show_password"),
    path("shares/<int:pk>/password/renew/", passwords.renew, name="renew_password"),
]
