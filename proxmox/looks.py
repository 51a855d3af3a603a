"""When hosts are looked at: every minute by the schedule, soon when a page is open or something was done.

A look is a message to the workers and no job: it is small, harmless to lose, and nobody wants a list of them.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from jobs import schedule
from proxmox import observing
from proxmox.models.seen import NodeSeen, NodeState
from servers.models import Server

log = logging.getLogger(__name__)

LIVE_APART = 4.0  # seconds between two looks while a page of one host or guest is open
LIST_APART = 9.0  # while a list of many hosts is open
QUIET = {NodeState.REFUSED, NodeState.CHANGED, NodeState.OFFERED}  # asking again soon only gets us locked out
DOWN_APART = 20.0
LATE_SECONDS = 20  # a look that nobody took so long is not wanted any more


def register() -> None:
    """Put it on the schedule, and listen to what the panel itself changes on hosts."""
    schedule.every("proxmox.look", 60, start_looks)
    observing.on_change(lambda host: look_now([host.pk]))


def start_looks() -> None:
    """Have all hosts looked at whose turn it is; a panel that has no access to any does nothing."""
    if ids := due():
        send(ids)


def due() -> list[int]:
    """The hosts with access whose turn it is; those never looked at have it."""
    ids = with_access()
    later = NodeSeen.objects.filter(host__in=ids, next_look_at__gt=timezone.now())
    not_yet = set(later.values_list("host", flat=True)) if ids else set()
    return [pk for pk in ids if pk not in not_yet]


def with_access() -> list[int]:
    """The ids of the Proxmox hosts for which there is a token or password, of their own or of the settings."""
    hosts = Server.objects.filter(is_proxmox=True)
    if not (settings.PROXMOX_TOKEN or (settings.PROXMOX_USER and settings.PROXMOX_PASS)):
        hosts = hosts.exclude(proxmox_access=None).exclude(proxmox_access__user="")
    return list(hosts.order_by("pk").values_list("pk", flat=True))


def look_now(host_ids: Iterable[int]) -> None:
    """Have these hosts looked at at once, as soon as this transaction is committed: something was done there."""
    ids = list(host_ids)
    transaction.on_commit(lambda: send(ids), robust=True)


def look_soon(nodes: Iterable[NodeSeen], apart: float = LIVE_APART, vmid: int | None = None) -> None:
    """Have those looked at whose data are older than `apart` seconds. Writes nothing and waits for nothing.

    `vmid`: the guest whose configuration is wanted, too.
    """
    now = timezone.now()
    if old := [node.host_id for node in nodes if _is_old(node, now, apart)]:
        send(old, apart, vmid)


def _is_old(node: NodeSeen, now: datetime, apart: float) -> bool:
    if node.state in QUIET or node.state == NodeState.NO_ACCESS:
        return False
    if node.looked_at is None:
        return True
    seconds = DOWN_APART if node.state == NodeState.DOWN else apart
    return node.looked_at < now - timedelta(seconds=seconds)


def send(host_ids: list[int], apart: float = 0.0, vmid: int | None = None) -> None:
    """Tell the workers. Losing or doubling this message does no harm: a look is claimed before it begins."""
    from proxmox.tasks import look

    try:
        look.apply_async((host_ids, apart, vmid), queue="default", expires=LATE_SECONDS)
    except OperationalError:
        log.warning("The broker does not take the message to look at hosts", exc_info=True)
