"""URLs of sets."""

from django.urls import path

from backups.views import sets

urlpatterns = [
    path("sets/", sets.set_list, name="sets"),
    path("sets/new/", sets.new, name="new_set"),
    path("sets/<int:pk>/", sets.set_page, name="set"),
    path("sets/<int:pk>/edit/", sets.edit, name="edit_set"),
    path("sets/<int:pk>/run/", sets.run, name="run_set"),
    path("sets/<int:pk>/stop/", sets.stop, name="stop_set"),
    path("sets/<int:pk>/delete/", sets.delete, name="delete_set"),
]
