"""URLs of this room, by noun."""

from django.urls import URLPattern

from backups import urls_monitoring, urls_plans, urls_restores, urls_runs, urls_sets

app_name = "backups"
urlpatterns: list[URLPattern] = [
    *urls_monitoring.urlpatterns,
    *urls_plans.urlpatterns,
    *urls_restores.urlpatterns,
    *urls_runs.urlpatterns,
    *urls_sets.urlpatterns,
]
