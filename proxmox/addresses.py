"""Which addresses of a host's internal network are in use, by whom, and which one is next.

An address counts as used when the inventory has it for a guest of this host, when a guest has it by what
Proxmox said last, when a create under way has claimed it, or when it is the network's own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_interface
from typing import Any

from django.utils.translation import gettext as _

from proxmox.models import AddressClaim, Creation, GuestSeen, InternalNetwork, Offer
from servers.models import Server

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class NoAddress(Exception):  # noqa: N818 - told to the person
    """No address can be given; str() says why."""


@dataclass(frozen=True)
class Use:
    """What has an address, or a range of them; `kind` is network, host, gateway, server, guest, claim, reserved."""

    first: Address
    last: Address
    kind: str
    text: str
    url: str = ""

    @property
    def ends(self) -> tuple[int, int]:
        """First and last as numbers."""
        return int(self.first), int(self.last)


@dataclass(frozen=True)
class Free:
    """A range of free addresses."""

    first: Address
    last: Address

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.last) - int(self.first) + 1


def settings_of(host: Server) -> InternalNetwork:
    """What an admin said of the host's internal network, or the defaults."""
    found = InternalNetwork.objects.filter(host=host).first()
    if found is not None:
        return found
    version = ip_address(host.internal_ip).version if host.internal_ip else 4
    return InternalNetwork(host=host, prefix_length=24 if version == 4 else 64)


def network_of(host: Server, settings: InternalNetwork | None = None) -> Network | None:
    """The internal network; None where the host has no internal IP."""
    if not host.internal_ip:
        return None
    settings = settings or settings_of(host)
    return ip_interface(f"{host.internal_ip}/{settings.prefix_length}").network


def gateway_of(host: Server, settings: InternalNetwork | None = None) -> str:
    """The gateway of the host's guests; empty where nothing says which."""
    settings = settings or settings_of(host)
    return str(settings.gateway or host.internal_ip or "")


def uses_of(host: Server) -> list[Use]:
    """Everything in use on the host's internal network, by address; a thing may occur twice, for two reasons."""
    settings = settings_of(host)
    network = network_of(host, settings)
    if network is None:
        return []
    found = [*_own_uses(host, settings, network), *_guests(host), *_seen(host), *_claims(host)]
    inside = [use for use in found if use.first in network or use.last in network]
    return sorted(inside, key=lambda use: (*use.ends, use.kind))


def _own_uses(host: Server, settings: InternalNetwork, network: Network) -> Iterator[Use]:
    yield _one(network.network_address, "network", _("the network itself"))
    if network.version == 4:
        yield _one(network.broadcast_address, "network", _("broadcast"))
    yield _one(host.internal_ip, "host", host.name, host.get_absolute_url())
    gateway = gateway_of(host, settings)
    if gateway != host.internal_ip:
        yield _one(gateway, "gateway", _("gateway"))
    for first, last in settings.reserved:
        yield Use(ip_address(first), ip_address(last), "reserved", _("reserved"))


def _guests(host: Server) -> Iterator[Use]:
    for server in host.guests.filter(internal_ip__isnull=False):
        yield _one(server.internal_ip, "server", server.name, server.get_absolute_url())


def _seen(host: Server) -> Iterator[Use]:
    """By what Proxmox said: of each guest what is known best."""
    offer = Offer.objects.filter(host=host).first() or Offer(host=host)
    words = _("%(name)s (%(vmid)s) on Proxmox")
    newer = set()
    for guest in GuestSeen.objects.filter(host=host):
        known = guest.gone_at or guest.config_at
        if known and (offer.addresses_at is None or known > offer.addresses_at):
            newer.add(guest.vmid)
        if guest.gone_at is None and (guest.vmid in newer or guest.live):
            for address in guest.addresses if guest.vmid in newer else guest.live:
                said = words % {"name": guest.name, "vmid": guest.vmid}
                yield _one(address, "guest", said, guest.get_absolute_url())
    for vmid, name, address in offer.addresses:
        if vmid not in newer:
            yield _one(address, "guest", words % {"name": name, "vmid": vmid})


def _claims(host: Server) -> Iterator[Use]:
    claims = AddressClaim.objects.active().filter(host=host).select_related("creation")
    for claim in claims:
        words = _("%s, being created") % claim.creation
        yield _one(claim.address, "claim", words, claim.creation.get_absolute_url())


def _one(address: Any, kind: str, text: str, url: str = "") -> Use:
    parsed = ip_address(str(address))
    return Use(parsed, parsed, kind, text, url)


def gaps(network: Network, uses: Iterable[Use]) -> Iterator[Free]:
    """The free ranges of a network, lowest first."""
    make = IPv4Address if network.version == 4 else IPv6Address
    at, end = int(network.network_address), int(network.broadcast_address)
    for first, last in sorted(use.ends for use in uses):
        if first > at:
            yield Free(make(at), make(min(first - 1, end)))
        at = max(at, last + 1)
        if at > end:
            return
    yield Free(make(at), make(end))


def next_free(host: Server) -> str:
    """The lowest free address; raises NoAddress. Two who ask at once get the same: see services.create."""
    network = network_of(host)
    if network is None:
        raise NoAddress(_("%s has no internal IP yet, so its internal network is not known.") % host)
    free = next(gaps(network, uses_of(host)), None)
    if free is None:
        raise NoAddress(_("Every address of %(network)s is in use.") % {"network": network})
    return str(free.first)


def problem_with(
    host: Server, address: str, *, of: Server | None = None, creation: Creation | None = None
) -> str:
    """Why a new guest of the host cannot have this address, as a sentence; empty if it can.

    `of`: the server that is to have it, `creation`: the create for it; what they have already is no problem.
    """
    network = network_of(host)
    if network is None:
        return _("%s has no internal IP yet, so its internal network is not known.") % host
    wanted = ip_address(address)
    if wanted not in network:
        return _("This is no address of the internal network of %(host)s, %(network)s.") % {
            "host": host,
            "network": network,
        }
    own = {("server", of.get_absolute_url())} if of else set()
    if creation is not None:
        own.add(("claim", creation.get_absolute_url()))
    for use in uses_of(host):
        if use.ends[0] <= int(wanted) <= use.ends[1] and (use.kind, use.url) not in own:
            return _("It is taken: %s.") % use.text
    return ""
