"""URLs of wizards."""

from django.urls import URLPattern

app_name = "wizards"
urlpatterns: list[URLPattern] = []
