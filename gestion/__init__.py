"""The roof: settings, URLs, ASGI and Celery; dashboard, search, health. No domain logic."""

import gc

# What modules make while they load stays: to look for garbage in it is a fifth of every start.
# On again in `GestionConfig.ready`.
gc.disable()

from gestion.celery import app as celery_app  # noqa: E402 - what it loads, too

__all__ = ["celery_app"]
