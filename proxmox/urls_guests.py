"""URLs of what is seen: guests and hosts."""

from django.urls import path

from proxmox.views import guests, hosts, matching

urlpatterns = [
    path("guests/", guests.guest_list, name="guests"),
    path("guests/<int:pk>/", guests.guest, name="guest"),
    path("guests/<int:pk>/adopt/", matching.adopt, name="adopt"),
    path("guests/<int:pk>/link/", matching.link, name="link"),
    path("guests/<int:pk>/apart/", matching.apart, name="apart"),
    path("guests/<int:pk>/match/", matching.match, name="match"),
    path("hosts/", hosts.host_list, name="hosts"),
    path("hosts/<int:pk>/", hosts.host, name="host"),
    path("hosts/<int:pk>/look/", hosts.look, name="look"),
]
