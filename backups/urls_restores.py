"""URLs of copies: what is in them, restores and verifications. `path` is as inside_copies.token_of."""

from django.urls import path

from backups.views import restores, snapshots

urlpatterns = [
    path("<int:pk>/copies/<int:at>/", snapshots.folder, name="copy"),
    path("<int:pk>/copies/<int:at>/read/", snapshots.read_again, name="read_copy_again"),
    path("<int:pk>/copies/<int:at>/restore/", restores.restore_from, name="restore_copy"),
    path("<int:pk>/copies/<int:at>/in/<slug:path>/", snapshots.folder, name="copy_folder"),
    path("<int:pk>/copies/<int:at>/in/<slug:path>/read/", snapshots.read_again, name="read_again"),
    path("<int:pk>/copies/<int:at>/in/<slug:path>/restore/", restores.restore_from, name="restore_from"),
    path("<int:pk>/copies/<int:at>/in/<slug:path>/file/", snapshots.download, name="download"),
    path("<int:pk>/restores/", restores.restores, name="restores"),
    path("<int:pk>/verify/", restores.verify, name="verify"),
    path("restores/<int:pk>/", restores.restore, name="restore"),
    path("restores/<int:pk>/begin/", restores.begin, name="begin_restore"),
    path("restores/<int:pk>/again/", restores.look_again, name="look_again"),
    path("restores/<int:pk>/stop/", restores.stop, name="stop_restore"),
    path("verifications/<int:pk>/", restores.verification, name="verification"),
    path("verifications/<int:pk>/stop/", restores.stop_verification, name="stop_verification"),
]
