"""Write down what a look at a host brought: the node, its guests in bulk, who they are, numbers over time."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from proxmox import reading, trouble
from proxmox.asking import Look, facts
from proxmox.matching import GuestFacts, Match, ServerNames, match
from proxmox.models.numbers import EVERY_SECONDS, KEEP_HOURS, Numbers
from proxmox.models.seen import GuestSeen, Matched, NodeSeen, NodeState
from servers.models import Server
from servers.upkeep import start_checks

EVERY = timedelta(seconds=60)
LONGEST = timedelta(minutes=5)
SLOW_SECONDS = 5.0  # an answer that takes longer is told
KEEP_GONE = timedelta(days=7)
CONFIGURED = ("config", "config_at", "addresses", "live", "live_at", "mac", "onboot")
MATCHED = ("server", "matched", "candidates")
LISTED = (
    "kind", "name", "status", "uptime", "cpu", "cores", "memory_used", "memory", "swap_used", "swap",
    "disk_used", "disk", "tags", "lock", "template",
)  # fmt: skip
OF_NODE = (
    "version", "uptime", "cpu", "cores", "memory_used", "memory", "swap_used", "swap", "disk_used", "disk",
)  # fmt: skip
WRITTEN = [*LISTED, "seen_at", "first_seen_at", "gone_at", *CONFIGURED, *MATCHED]


@transaction.atomic
def note(look: Look) -> None:
    """Write the outcome of a look. What was known of the guests stays when the host did not answer."""
    node = NodeSeen.objects.select_for_update().filter(host=look.host).first()
    if node is None:
        return  # the host was deleted meanwhile
    now = timezone.now()
    before = node.state
    if look.error is None:
        _note_answer(node, look, now)
        note_guests(look, now)
        _note_numbers(look)
    else:
        node.state, node.error = trouble.of(look.error)
        node.failed_looks += 1
        node.next_look_at = now + min(LONGEST, EVERY * 2 ** min(node.failed_looks - 1, 6)) * 0.9
    if node.state != before:
        node.since = now
    node.looked_at, node.looking_since = now, None
    node.save(
        update_fields=[field.name for field in node._meta.fields if field.name not in {"id", "look_again"}]
    )


def _note_answer(node: NodeSeen, look: Look, now: datetime) -> None:
    node.state = NodeState.SLOW if look.seconds > SLOW_SECONDS else NodeState.ANSWERS
    node.error = ""
    node.failed_looks = 0
    node.answered_at, node.seconds = now, look.seconds
    node.next_look_at = now + EVERY * 0.8  # a little early, so that no round is missed
    for name in OF_NODE:
        setattr(node, name, (look.node or {}).get(name, "" if name == "version" else None))
    if look.storages is not None:
        node.storages, node.storages_at = look.storages, now


def note_guests(look: Look, now: datetime) -> None:
    """Write all guests of the host in a constant number of queries; those not listed any more are gone."""
    known = {row.vmid: row for row in GuestSeen.objects.filter(host=look.host)}
    rows = [_row(look, guest, known.get(guest["vmid"]), now) for guest in look.guests]
    _match(look.host.pk, rows)
    GuestSeen.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["host", "vmid"], update_fields=WRITTEN
    )
    listed = {guest["vmid"] for guest in look.guests}
    gone = [row.pk for row in known.values() if row.gone_at is None and row.vmid not in listed]
    if gone:
        GuestSeen.objects.filter(pk__in=gone).update(gone_at=now, status="unknown")
        # What leads to such a server is green until somebody has looked: now, and not in five minutes.
        if Server.objects.filter(guest_seen__in=gone).update(next_check_at=now):
            start_checks()
    if any(row.gone_at and row.gone_at < now - KEEP_GONE for row in known.values()):
        GuestSeen.objects.filter(host=look.host, gone_at__lt=now - KEEP_GONE).delete()


def _row(look: Look, guest: dict[str, Any], known: GuestSeen | None, now: datetime) -> GuestSeen:
    row = GuestSeen(host=look.host, first_seen_at=now, seen_at=now, **guest)
    config = look.configs.get(row.vmid)
    if known is not None and not _another(known, row, config):
        for name in ("first_seen_at", "server_id", "matched", "candidates", *CONFIGURED):
            setattr(row, name, getattr(known, name))
        before = look.known.get(row.vmid)
        if before and before.facts != facts(guest):
            row.config_at = None  # it has changed: read again, by the next look if this had no time for it
    if config is not None:
        row.config, row.config_at = config, now
        row.mac = reading.mac(config) or row.mac  # one that is being made has none yet
        row.onboot = bool(reading.whole(config.get("onboot")))
    _note_addresses(row, look.live.get(row.vmid), now)
    return row


def _note_addresses(row: GuestSeen, live: list[str] | None, now: datetime) -> None:
    """The fixed addresses, and those that a running guest says it has: once it is off, another may get them."""
    fixed = reading.addresses(row.config)
    if not row.running:
        row.live, row.live_at = [], None
    elif live is not None:
        row.live, row.live_at = [text for text in live if text not in fixed], now
    row.addresses = [*fixed, *(text for text in row.live if text not in fixed)]


def _another(known: GuestSeen, now: GuestSeen, config: dict[str, Any] | None) -> bool:
    """Whether the id belongs to another guest than before: an id is free again once its guest is destroyed.

    Compared with what was read of both last: the looks since may have brought the new one's name alone.
    """
    if known.kind != now.kind:
        return True
    if str(known.config.get("hostname") or known.config.get("name") or known.name) == now.name:
        return False
    mac = reading.mac(config) if config is not None else ""
    return known.gone_at is not None or bool(mac and known.mac and mac != known.mac)


def rematch(host_id: int) -> None:
    """Match a host's guests anew, from what is known; call it in the transaction that changed something."""
    NodeSeen.objects.select_for_update().filter(host=host_id).first()
    rows = list(GuestSeen.objects.present().filter(host=host_id).defer("config"))
    before = {row.pk: (row.server_id, row.matched, row.candidates) for row in rows}
    _match(host_id, rows)
    changed = [row for row in rows if (row.server_id, row.matched, row.candidates) != before[row.pk]]
    GuestSeen.objects.bulk_update(changed, MATCHED, batch_size=100)


def _match(host_id: int, rows: list[GuestSeen]) -> None:
    servers = [
        ServerNames(pk, name, ip)
        for pk, name, ip in Server.objects.filter(vm_host=host_id).values_list("pk", "name", "internal_ip")
    ]
    matches = match([_who(row) for row in rows if not row.template], servers)
    for row in rows:
        found = matches.get(row.vmid, Match())
        row.server_id, row.matched = found.server, found.how
        row.candidates = list(found.candidates)


def _who(row: GuestSeen) -> GuestFacts:
    by_hand = row.server_id if row.matched == Matched.HAND else None
    was = row.server_id if row.matched == Matched.ADDRESS and not row.addresses else None
    return GuestFacts(row.vmid, row.name, tuple(row.addresses), by_hand, row.matched == Matched.APART, was)


def _note_numbers(look: Look) -> None:
    """The first look of each span is its number; a day of them is kept."""
    span = int(time.time() // EVERY_SECONDS)
    if Numbers.objects.filter(host=look.host, span=span).exists():
        return
    node = look.node or {}
    Numbers.objects.create(
        host=look.host,
        span=span,
        cpu=_thousandths(node.get("cpu"), 1.0),
        memory=_thousandths(node.get("memory_used"), node.get("memory")),
        guests={
            str(guest["vmid"]): _of_guest(guest) for guest in look.guests if guest["status"] == "running"
        },
    )
    Numbers.objects.filter(host=look.host, span__lt=span - KEEP_HOURS * 3600 // EVERY_SECONDS).delete()


def _of_guest(guest: dict[str, Any]) -> list[int | None]:
    return [_thousandths(guest["cpu"], 1.0), _thousandths(guest["memory_used"], guest["memory"])]


def _thousandths(used: float | None, of: float | None) -> int | None:
    return None if used is None or not of else min(1000, round(1000 * used / of))
