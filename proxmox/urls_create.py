"""URLs of creating containers and of addresses."""

from django.urls import path

from proxmox.views import addresses, create

urlpatterns = [
    path("containers/new/", create.new, name="create"),
    path("creations/<int:pk>/", create.creation, name="creation"),
    path("creations/<int:pk>/again/", create.again, name="create_again"),
    path("hosts/<int:pk>/offer/read/", create.read, name="read_offer"),
    path("hosts/<int:pk>/addresses/", addresses.addresses, name="addresses"),
    path("hosts/<int:pk>/network/", addresses.network, name="network"),
]
