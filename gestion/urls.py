"""Every URL of the panel, by room."""

from django.urls import include, path

from gestion import views
from githooks.views import hook

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("search/", views.search, name="search"),
    path("health/", views.health, name="health"),
    path("health", views.health, name="health_bare"),  # a redirect would be taken for an answer
    path("", include("accounts.urls")),
    path("jobs/", include("jobs.urls")),
    path("notifications/", include("notifications.urls")),
    path("servers/", include("servers.urls")),
    path("keymanager/", include("keymanager.urls")),
    path("forwarding/", include("forwarding.urls")),
    path("git_hook/<str:key>/", hook.hook, name="git_hook"),
    path(
        "git_hook/<str:key>", hook.hook, name="git_hook_bare"
    ),  # a POST that is redirected would come as a GET
    path("githooks/", include("githooks.urls")),
    path("fabrun/", include("fabrun.urls")),
    path("proxmox/", include("proxmox.urls")),
    path("backups/", include("backups.urls")),
    path("samba/", include("samba.urls")),
    path("wizards/", include("wizards.urls")),
]

handler400 = "gestion.errors.bad_request"
handler403 = "gestion.errors.forbidden"
handler404 = "gestion.errors.not_found"
handler500 = "gestion.errors.server_error"
