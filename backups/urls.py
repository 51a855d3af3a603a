"""URLs of this room, by noun."""

from django.urls import URLPattern

from backups import urls_plans

app_name = "backups"
urlpatterns: list[URLPattern] = [*urls_plans.urlpatterns]
