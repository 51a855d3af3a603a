"""URLs of backups as they are planned, and of the copies that deleted ones left."""

from django.urls import path

from backups.views import backup, left, plans

urlpatterns = [
    path("", plans.backup_list, name="backups"),
    path("new/", plans.new, name="new_backup"),
    path("servers/<int:pk>/", plans.back_up_server, name="back_up_server"),
    path("servers/<int:pk>/key/", plans.make_key, name="make_key"),
    path("left/", left.left_list, name="left_list"),
    path("left/<int:pk>/", left.left, name="left"),
    path("left/<int:pk>/take-up/", left.take_up, name="take_up"),
    path("<int:pk>/", backup.backup, name="backup"),
    path("<int:pk>/edit/", plans.edit, name="edit_backup"),
    path("<int:pk>/switch/", plans.switch, name="switch_backup"),
    path("<int:pk>/delete/", plans.delete, name="delete_backup"),
    path("<int:pk>/try/", backup.try_way, name="try_backup"),
]
