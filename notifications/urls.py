"""URLs of notifications."""

from django.urls import path

from notifications.views import topics, webhooks

app_name = "notifications"
urlpatterns = [
    path("", topics.choose, name="topics"),
    path("try/", topics.try_mail, name="try_mail"),
    path("webhooks/", webhooks.webhooks, name="webhooks"),
    path("webhooks/new/", webhooks.new, name="new_webhook"),
    path("webhooks/<int:pk>/", webhooks.webhook, name="webhook"),
    path("webhooks/<int:pk>/edit/", webhooks.edit, name="edit_webhook"),
    path("webhooks/<int:pk>/secret/", webhooks.secret, name="webhook_secret"),
    path("webhooks/<int:pk>/try/", webhooks.try_it, name="try_webhook"),
    path("webhooks/<int:pk>/delete/", webhooks.delete, name="delete_webhook"),
]
