"""Look at hosts: ask their APIs side by side, each with its own time-outs, and note what they say.

A look is claimed in the database, so two workers never look at one host at once. A host that does not answer is
looked at less and less often (see proxmox.noting).
"""

from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from proxmox import asking, noting
from proxmox.models.seen import GuestSeen, NodeSeen
from servers.models import Server

DEAD_AFTER = timedelta(seconds=60)  # whoever has been looking for so long has died
SIDE_BY_SIDE = 24
STORAGES_EVERY = timedelta(minutes=5)


def look_at(host_ids: Iterable[int], *, apart: float = 0.0, vmid: int | None = None) -> list[int]:
    """Look at these hosts now, unless somebody else does, or did less than `apart` seconds ago.

    `vmid`: a guest whose configuration is wanted in any case. Returns the ids of those looked at.
    """
    hosts = Server.objects.filter(pk__in=list(host_ids), is_proxmox=True)
    looks = [_prepare(host, vmid) for host in hosts if _claim(host, apart)]
    if not looks:
        return []
    with ThreadPoolExecutor(min(SIDE_BY_SIDE, len(looks)), thread_name_prefix="look") as threads:
        running = {threads.submit(_ask, look) for look in looks}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for task in ended:
                look = task.result()
                noting.note(look)
                if _wanted_again(look.host):
                    running.add(threads.submit(_ask, _prepare(look.host, vmid)))
    return [look.host.pk for look in looks]


def _claim(host: Server, apart: float) -> bool:
    """Whether this look is ours. One that must be (`apart` 0) has whoever is looking look once more."""
    now = timezone.now()
    NodeSeen.objects.get_or_create(host=host)
    nobody = Q(looking_since=None) | Q(looking_since__lt=now - DEAD_AFTER)
    old = Q(looked_at=None) | Q(looked_at__lte=now - timedelta(seconds=apart))
    rows = NodeSeen.objects.filter(host=host)
    if rows.filter(nobody & old).update(looking_since=now, look_again=False):
        return True
    if apart:
        return False
    rows.update(look_again=True)
    # Whoever looked may have ended before that, and would not see it any more.
    return bool(rows.filter(nobody, look_again=True).update(looking_since=now, look_again=False))


def _wanted_again(host: Server) -> bool:
    """Whether something was done there while we looked: what we saw may be from before it."""
    return NodeSeen.objects.filter(host=host, look_again=True).exists() and _claim(host, 0.0)


def _prepare(host: Server, vmid: int | None) -> asking.Look:
    rows = (
        GuestSeen.objects.present()
        .filter(host=host)
        .values("vmid", "config", "config_at", "live", "live_at", *asking.FACTS)
    )
    known = {
        row["vmid"]: asking.Known(
            asking.facts(row), row["config_at"], row["config"], row["live"], row["live_at"]
        )
        for row in rows
    }
    read_at = NodeSeen.objects.values_list("storages_at", flat=True).get(host=host)
    stale = read_at is None or read_at < timezone.now() - STORAGES_EVERY
    return asking.Look(host, known, with_storages=stale, wanted=vmid)


def _ask(look: asking.Look) -> asking.Look:
    try:
        return asking.ask(look)
    finally:
        connection.close()  # of this thread, which read how to get in
