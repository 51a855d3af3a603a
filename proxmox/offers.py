"""Reads what a Proxmox host has for new containers, and which addresses its guests have."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from proxmox.client import NodeApi
from proxmox.client.errors import Gone, Locked, RightsMissing
from proxmox.models import Offer
from proxmox.reading import addresses
from servers.models import Server

FRESH = timedelta(
    seconds=60
)  # for so long a guest's address is believed without reading its configuration again
_BRIDGES = {"bridge", "OVSBridge", "vnet"}


def read_offer(api: NodeApi, host: Server) -> Offer:
    """Read all of it and keep it. Raises ProxmoxError, and keeps the error's words."""
    storages = api.storages()
    active = [storage for storage in storages if storage.is_active]
    templates = [
        [volume.volid, volume.size]
        for storage in active
        if "vztmpl" in storage.content
        for volume in api.volumes(storage.name, "vztmpl")
    ]
    roots = [[one.name, one.type, one.available] for one in active if "rootdir" in one.content]
    return keep(
        host,
        templates=sorted(templates),
        storages=sorted(roots),
        bridges=_bridges(api),
        addresses=_addresses(api, {}),
        addresses_at=timezone.now(),
        read_at=timezone.now(),
        words="",
    )


def keep(host: Server, **found: Any) -> Offer:
    """Write down what a reading found."""
    return Offer.objects.update_or_create(host=host, defaults={**found, "tried_at": timezone.now()})[0]


def read_addresses(api: NodeApi, host: Server) -> None:
    """Bring the guests' addresses up to date: all of them once a minute, else those of guests not seen yet."""
    offer = Offer.objects.filter(host=host).first() or Offer(host=host)
    fresh = offer.addresses_at is not None and timezone.now() - offer.addresses_at < FRESH
    known: dict[int, list[list[Any]]] = {}
    if fresh:
        for entry in offer.addresses:
            known.setdefault(entry[0], []).append(entry)
    now = offer.addresses_at if fresh else timezone.now()
    Offer.objects.update_or_create(
        host=host, defaults={"addresses": _addresses(api, known), "addresses_at": now}
    )


def _addresses(api: NodeApi, known: dict[int, list[list[Any]]]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for guest in api.guests():
        if guest.vmid in known:
            found += known[guest.vmid]
            continue
        try:
            config = api.config(guest.kind, guest.vmid)
        except (Gone, Locked, RightsMissing):
            continue  # it went meanwhile, or is not ours to look into
        found += [[guest.vmid, guest.name, address] for address in addresses(config)]
    return found


def _bridges(api: NodeApi) -> list[list[str]]:
    try:
        networks = api.networks()
    except RightsMissing:
        return []  # the form then takes any name
    return sorted(
        [str(one.get("iface", "")), str(one.get("cidr") or "")]
        for one in networks
        if one.get("type") in _BRIDGES
    )
