"""URLs of this room, by noun."""

from django.urls import URLPattern

app_name = "proxmox"
urlpatterns: list[URLPattern] = []
