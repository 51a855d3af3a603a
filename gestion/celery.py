"""The Celery application; rooms' tasks are found by themselves in their `tasks.py`."""

import os

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")
TRANSPORT_ALIASES["embedded"] = "gestion.broker:Transport"

app = Celery("gestion")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_configure.connect
def read_settings(**_kwargs: object) -> None:
    """Before Celery takes its part of the settings, which it does on first use."""
    from gestion.environment import end_if_wrong

    end_if_wrong()


@signals.import_modules.connect
def connect_worker(**_kwargs: object) -> None:
    """Once Django is set up: what a worker does beside its messages."""
    from gestion.data_folder import keep_private
    from jobs.worker import connect

    keep_private()
    connect(app)
