"""The Celery application; rooms' tasks are found by themselves in their `tasks.py`."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")

app = Celery("gestion")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
