"""URLs of Git hooks. The hook itself ⚓ is at the root of the panel: see gestion/urls.py."""

from django.urls import path

from githooks.views import repositories

app_name = "githooks"
urlpatterns = [
    path("", repositories.repositories, name="repositories"),
    path("<str:key>/", repositories.repository, name="repository"),
    path("<str:key>/set-up/", repositories.set_up, name="set_up"),
    path("<str:key>/branch/", repositories.branch, name="branch"),
    path("<str:key>/secret/", repositories.secret, name="secret"),
    path("<str:key>/pull/", repositories.pull, name="pull"),
]
