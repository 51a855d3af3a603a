"""Every URL of the panel, by room."""

from django.urls import include, path

urlpatterns = [
    path("", include("accounts.urls")),
    path("jobs/", include("jobs.urls")),
    path("servers/", include("servers.urls")),
    path("keymanager/", include("keymanager.urls")),
]
