"""What a worker process does beside jobs: beat its heart, be the scheduler where it should, end in order.

Celery tells by its signals; `gestion/celery.py` connects them.
"""

import logging
import os
import threading
import warnings
from typing import Any

from celery import Celery, signals
from celery.beat import EmbeddedService, Scheduler
from celery.exceptions import SecurityWarning
from django.db import DatabaseError, close_old_connections

from jobs.execute import worker_name
from jobs.pulse import pulse
from jobs.schedule import TICK
from jobs.service_manager import tell

log = logging.getLogger(__name__)

PATIENCE = 25.0  # seconds that works get to end when the worker is told to
LOOK = "jobs.tick"
# A worker that comes back finds one look to take, not one for each that it missed.
LOOK_OPTIONS: dict[str, Any] = {"queue": "default", "expires": float(TICK)}


def connect(app: Celery) -> None:
    """Prepare the application for workers and the scheduler."""
    app.conf.beat_schedule = {
        "look what is due": {"task": LOOK, "schedule": float(TICK), "options": LOOK_OPTIONS}
    }
    # It warns root of unpickling what strangers send; our messages are JSON, and only `json` is accepted.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    signals.worker_ready.connect(_ready)
    signals.worker_shutting_down.connect(_shutting_down)
    signals.worker_shutdown.connect(_shutdown)


class _Beat:
    """The scheduler as a thread of this worker, where GESTION_SCHEDULER=thread says so."""

    service: Any = None

    def start(self, app: Celery) -> None:
        if os.environ.get("GESTION_SCHEDULER") == "thread":
            self.service = EmbeddedService(app, thread=True, scheduler_cls=Scheduler)
            self.service.start()
            # The first look now: beat itself only begins to count.
            app.send_task(LOOK, **LOOK_OPTIONS)

    def stop(self) -> None:
        if self.service is not None:
            # Not service.stop(), which waits for a thread that may sleep for another second.
            self.service.service.stop(wait=False)
            self.service = None


_beat = _Beat()


def _ready(sender: Any = None, **_kwargs: Any) -> None:
    queues = ",".join(sorted(queue.name for queue in sender.task_consumer.queues))
    pulse.start(worker_name(), queues)
    threading.Thread(target=_catch_up, name="catch-up", daemon=True).start()
    _beat.start(sender.app)
    tell("READY=1")
    log.info("Ready: %s, for the queues %s", worker_name(), queues)


def _catch_up() -> None:
    """What waited while no worker was there need not wait for the next look of the scheduler."""
    from jobs.upkeep import reap, send_waiting

    try:
        reap()
        send_waiting(late_after=0)
    except DatabaseError:
        log.warning("Could not look for waiting jobs; the scheduler will", exc_info=True)
    finally:
        close_old_connections()


def _shutting_down(**_kwargs: Any) -> None:
    tell("STOPPING=1")
    _beat.stop()
    # In a thread: we are in a signal handler, and the locks may be held by what it interrupted.
    threading.Thread(target=pulse.interrupt, name="interrupt", daemon=True).start()

    last_resort = threading.Timer(PATIENCE, _give_up)
    last_resort.daemon = True
    last_resort.start()


def _give_up() -> None:
    log.error("Works did not end within %.0f s; their jobs will be found and ended by others", PATIENCE)
    os._exit(1)


def _shutdown(**_kwargs: Any) -> None:
    pulse.stop()
