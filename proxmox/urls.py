"""URLs of this room, by noun."""

from proxmox import urls_access, urls_create, urls_guests

app_name = "proxmox"
urlpatterns = [*urls_guests.urlpatterns, *urls_create.urlpatterns, *urls_access.urlpatterns]
