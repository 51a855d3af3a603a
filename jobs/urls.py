"""URLs of jobs."""

from django.urls import path

from jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.jobs, name="list"),
    path("acknowledge/", views.acknowledge_all, name="acknowledge_all"),
    path("test/", views.test_worker, name="test_worker"),
    path("<int:pk>/", views.job, name="job"),
    path("<int:pk>/stop/", views.stop, name="stop"),
    path("<int:pk>/again/", views.again, name="again"),
    path("<int:pk>/acknowledge/", views.acknowledge, name="acknowledge"),
    path("<int:pk>/stream", views.stream, name="stream"),
]
