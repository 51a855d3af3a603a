"""Whether the panel can work: database, broker, and what the rooms say of their own."""

import logging
from collections.abc import Iterable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from kombu import Connection
from kombu.exceptions import KombuError

from pages.registry import Health, NavItem, Notice, Section, sections

log = logging.getLogger(__name__)

CONNECT_SECONDS = 1


def all_health() -> list[Health]:
    """Everything the panel needs; the rooms are asked only when the database answers."""
    database = check_database()
    found = [database, check_broker(settings.CELERY_BROKER_URL)]
    if database.ok:
        found += [item for part in sections() if part.health for item in part.health()]
    return found


def check_database() -> Health:
    """Whether it answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        log.warning("The database does not answer: %s", error)
        return Health("database", ok=False, words=_("The database does not answer."))
    return Health("database", ok=True)


def check_broker(url: str) -> Health:
    """Whether messages to the workers can be sent; gives up after CONNECT_SECONDS."""
    options = {
        **getattr(settings, "CELERY_BROKER_TRANSPORT_OPTIONS", {}),
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": CONNECT_SECONDS,
    }
    try:
        with Connection(url, transport_options=options, connect_timeout=CONNECT_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_SECONDS)
    except (KombuError, OSError) as error:
        log.warning("The broker does not answer: %s", error)
        return Health("broker", ok=False, words=_("The broker does not answer; jobs wait."), serving=False)
    return Health("broker", ok=True)


def _attention(request: HttpRequest) -> Iterable[Notice]:
    if getattr(request.user, "is_admin", False):
        for item in all_health():
            if not item.ok:
                yield Notice("danger", item.words or item.name, reverse("health"))


section = Section(
    "gestion",
    nav=(NavItem(gettext_lazy("Dashboard"), "dashboard", "layout-dashboard", order=0, admin_only=False),),
    attention=_attention,
)
