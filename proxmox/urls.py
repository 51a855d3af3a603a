"""URLs of this room, by noun."""

from proxmox import urls_create

app_name = "proxmox"
urlpatterns = [*urls_create.urlpatterns]
