"""URLs of how Proxmox hosts are reached, and of what is done with guests."""

from django.urls import path

from proxmox.views import access, guest_actions

GUEST = "hosts/<int:pk>/guests/<str:kind>/<int:vmid>/"

urlpatterns = [
    path("hosts/<int:pk>/access/", access.access, name="access"),
    path("hosts/<int:pk>/access/edit/", access.edit_access, name="edit_access"),
    path("hosts/<int:pk>/access/try/", access.try_access, name="try_access"),
    path("hosts/<int:pk>/access/rights/", access.rights_page, name="rights"),
    path("hosts/<int:pk>/certificate/accept/", access.accept_certificate, name="accept_certificate"),
    path("hosts/<int:pk>/certificate/reject/", access.reject_certificate, name="reject_certificate"),
    path("hosts/<int:pk>/certificate/forget/", access.forget_certificate, name="forget_certificate"),
    path(GUEST + "read/", guest_actions.read_guest, name="read_guest"),
    path(GUEST + "edit/", guest_actions.edit_guest, name="edit_guest"),
    path(GUEST + "snapshots/", guest_actions.guest_snapshots, name="guest_snapshots"),
    path(GUEST + "destroy/", guest_actions.destroy_guest, name="destroy_guest"),
    path(GUEST + "power/<str:action>/", guest_actions.power, name="power_guest"),
]
