"""URLs of runs."""

from django.urls import path

from backups.views import runs

urlpatterns = [
    path("<int:pk>/run/", runs.run_backup, name="run_backup"),
    path("<int:pk>/runs/", runs.backup_runs, name="backup_runs"),
    path("runs/", runs.run_list, name="runs"),
    path("runs/<int:pk>/", runs.run, name="run"),
    path("runs/<int:pk>/stop/", runs.stop, name="stop_run"),
    path("runs/<int:pk>/give-up/", runs.give_up, name="give_up_run"),
    path("runs/<int:pk>/accept/", runs.accept, name="accept_run"),
]
