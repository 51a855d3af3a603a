"""The roof: settings, URLs, ASGI and Celery; dashboard, search, health. No domain logic."""

from gestion.celery import app as celery_app

__all__ = ["celery_app"]
