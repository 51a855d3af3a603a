"""URLs of Fabric runs."""

from django.urls import path

from fabrun.views import runs, scripts

app_name = "fabrun"
urlpatterns = [
    path("", scripts.scripts, name="scripts"),
    path("scripts/<str:name>/", scripts.script, name="script"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/again/", runs.again, name="again"),
    path("runs/<int:pk>/stop/", runs.stop, name="stop"),
]
