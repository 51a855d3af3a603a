"""The roof: settings, URLs, ASGI and Celery; dashboard, search, health. No domain logic."""

import gc

gc.set_threshold(
    50_000
)  # of Python's 700, a fifth of each start went: what is imported is hardly ever garbage

from gestion.celery import app as celery_app  # noqa: E402 - it is the first of what is imported

__all__ = ["celery_app"]
