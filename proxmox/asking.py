"""Ask one host's API how it and its guests are. Network only: what is known is given, nothing is written."""

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from proxmox import live_addresses, reading
from proxmox.client import NodeApi, names, open_api
from proxmox.client.errors import ProxmoxError, RightsMissing
from servers.models import Server

log = logging.getLogger(__name__)

READ_SECONDS = 6.0  # for one answer
LOOK_SECONDS = 20.0  # for all: one that sends its answer byte by byte is cut off
CONFIG_SECONDS = 4.0  # for the configurations of guests; what is left is read by the next look
CONFIG_EVERY = timedelta(minutes=15)
LIVE_SECONDS = 4.0  # for asking guests for the addresses that no configuration says; likewise
STARTING = 900  # seconds of uptime in which a guest without an address is asked at every look
FACTS = ("kind", "name", "cores", "memory", "swap", "disk", "tags", "template")


@dataclass(frozen=True)
class Known:
    """What was last seen of a guest: `facts` tells whether its configuration must be read again."""

    facts: tuple[Any, ...]
    config_at: datetime | None
    config: dict[str, Any] = field(default_factory=dict)
    live: Sequence[str] = ()
    live_at: datetime | None = None


@dataclass
class Look:
    """One look at one host: what to ask for, and what came of it. Without an error it answered."""

    host: Server
    known: dict[int, Known]
    with_storages: bool = False
    wanted: int | None = None  # the guest whose configuration is read in any case
    seconds: float = 0.0  # that the guests and the node took
    node: dict[str, Any] | None = None  # None: the right to see it is missing
    guests: list[dict[str, Any]] = field(default_factory=list)
    configs: dict[int, dict[str, Any]] = field(default_factory=dict)
    live: dict[int, list[str]] = field(default_factory=dict)  # of the guests that were asked
    storages: list[dict[str, Any]] | None = None
    error: Exception | None = None


def ask(look: Look) -> Look:
    """Ask the host's API; what goes wrong is kept in `error`."""
    try:
        with open_api(look.host, read_seconds=READ_SECONDS) as api:
            timer = threading.Timer(LOOK_SECONDS, api.cut)
            timer.daemon = True
            timer.start()
            try:
                _ask(api, look)
            finally:
                timer.cancel()
    except ProxmoxError as error:
        look.error = error
    except Exception as error:  # a fault of ours must not keep the other hosts from being noted
        log.exception("Looking at %s failed", look.host)
        look.error = error
    return look


def _ask(api: NodeApi, look: Look) -> None:
    began = time.monotonic()
    look.guests = [reading.guest(guest) for guest in api.guests() if 0 < guest.vmid < 2**31]
    if not look.guests and not any("VM.Audit" in rights for rights in api.permissions().values()):
        # Proxmox answers a token without rights with an empty list: that is no host without guests.
        said = _("%(who)s may not see the guests of %(host)s: it lacks the right VM.Audit.")
        words = said % {"who": api.who, "host": look.host}
        raise RightsMissing(look.host.name, api.who, "/vms", ["VM.Audit"], words)
    try:
        look.node = reading.node(api.status())
    except RightsMissing:
        look.node = None
    look.seconds = time.monotonic() - began
    if look.with_storages:
        look.storages = _storages(api)
    _read_configs(api, look, time.monotonic() + CONFIG_SECONDS)
    _read_live(api, look, time.monotonic() + LIVE_SECONDS)


def _storages(api: NodeApi) -> list[dict[str, Any]] | None:
    """The storages; one that hangs must not hide the guests."""
    try:
        return reading.storages(api.storages())
    except ProxmoxError:
        return None


def _read_configs(api: NodeApi, look: Look, until: float) -> None:
    for guest in _to_read(look):
        if time.monotonic() > until:
            return
        try:
            answer = api.config(guest["kind"], guest["vmid"])
        except ProxmoxError:
            continue  # gone or forbidden since it was listed: the next look tells
        look.configs[guest["vmid"]] = reading.config(answer)


def _to_read(look: Look) -> Iterable[dict[str, Any]]:
    """The guests whose configuration is unknown or changed, then those that were not read for long."""
    old = timezone.now() - CONFIG_EVERY
    changed, stale = [], []
    for guest in look.guests:
        known = look.known.get(guest["vmid"])
        new = known is None or known.config_at is None or known.facts != facts(guest)
        if new or guest["vmid"] == look.wanted:
            changed.append(guest)
        elif known and known.config_at and known.config_at < old:
            stale.append((known.config_at, guest["vmid"], guest))
    return [*changed, *(guest for _at, _vmid, guest in sorted(stale, key=lambda item: item[:2]))]


def _read_live(api: NodeApi, look: Look, until: float) -> None:
    for guest, config in _to_ask(look):
        if time.monotonic() > until:
            return
        vmid = guest["vmid"]
        try:
            machine = guest["kind"] == names.QEMU
            answer = api.agent_interfaces(vmid) if machine else api.interfaces(vmid)
        except ProxmoxError:
            answer = []  # off meanwhile, no agent answers, the right is missing, or Proxmox VE 7: nothing is known
        look.live[vmid] = live_addresses.found(config, answer)


def _to_ask(look: Look) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The running guests with an address that no configuration says, who was never asked first; with those."""
    now = timezone.now()
    wanted = []
    for guest in look.guests:
        known = look.known.get(guest["vmid"]) or Known((), None)
        config = look.configs.get(guest["vmid"], known.config)
        if guest["status"] != "running" or not live_addresses.wanted(guest["kind"], config):
            continue
        every = CONFIG_EVERY if known.live or guest["uptime"] > STARTING else timedelta()
        if known.live_at is None or known.live_at < now - every or guest["vmid"] == look.wanted:
            wanted.append((known.live_at or datetime.min.replace(tzinfo=UTC), guest, config))
    return [(guest, config) for _at, guest, config in sorted(wanted, key=lambda item: item[0])]


def facts(guest: dict[str, Any]) -> tuple[Any, ...]:
    """What of a guest changes with its configuration."""
    return tuple(guest[name] for name in FACTS)
