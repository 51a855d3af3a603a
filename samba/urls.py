"""URLs of shares."""

from django.urls import URLPattern

app_name = "samba"
urlpatterns: list[URLPattern] = []
