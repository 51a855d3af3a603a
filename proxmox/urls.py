"""URLs of this room, by noun."""

from proxmox import urls_access

app_name = "proxmox"
urlpatterns = [*urls_access.urlpatterns]
