"""URLs of this room, by noun."""

from proxmox import urls_guests

app_name = "proxmox"
urlpatterns = [*urls_guests.urlpatterns]
