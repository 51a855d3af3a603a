"""Which of a guest's addresses are proposed when it is adopted, where each comes from, and why others are not."""

from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address

from django.utils.translation import gettext as _

from proxmox.addresses import Address, Network, network_of, settings_of
from proxmox.live_addresses import has_open, wanted
from proxmox.models.seen import GuestSeen
from proxmox.reading import cards
from servers.models import Server
from servers.rules import problems


@dataclass(frozen=True)
class Proposal:
    """What is filled in, and why each of the other addresses is not."""

    inside: str | None
    outside: str | None
    left: dict[str, str]


def proposal(guest: GuestSeen) -> Proposal:
    """Of a guest's addresses the one inside its host, and one that others reach; none that saving would refuse.

    Inside is what lies in the host's internal network, first of all on its bridge; where the host says of no network,
    the first private IPv4 address.
    """
    network = network_of(guest.host)
    found = [ip_address(text) for text in _on_the_bridge_first(guest)]
    not_inside = {one: _not_inside(guest, network, one) for one in found}
    not_outside = {one: _not_outside(guest, one) for one in found if one.is_global}
    inside = next((one for one in found if not not_inside[one]), None)
    outside = next((one for one, why in not_outside.items() if one != inside and not why), None)
    left = {
        str(one): not_outside.get(one, not_inside[one]) or _("another one is filled in")
        for one in found
        if one not in {inside, outside}
    }
    return Proposal(str(inside) if inside else None, str(outside) if outside else None, left)


def _on_the_bridge_first(guest: GuestSeen) -> list[str]:
    """In another VLAN, and on another bridge, may be the same numbers."""
    bridge, plugged = settings_of(guest.host).bridge, cards(guest.config)

    def elsewhere(text: str) -> bool:
        card = plugged.get(text)
        return card is not None and bool(card.vlan or (bridge and card.bridge and card.bridge != bridge))

    return sorted(guest.addresses, key=elsewhere)


def _not_inside(guest: GuestSeen, network: Network | None, one: Address) -> str:
    if words := _leads_nowhere(one):
        return words
    if network is None and (one.version == 6 or one.is_global):
        return _("which network is inside %s is not known") % guest.host
    if network is not None and one not in network:
        return _("it is not in %(network)s, the network inside %(host)s") % {
            "network": network,
            "host": guest.host,
        }
    ends = (network.network_address, network.broadcast_address) if isinstance(network, IPv4Network) else ()
    return _("it stands for a whole network") if one in ends else _refused(guest, "internal_ip", one)


def _not_outside(guest: GuestSeen, one: Address) -> str:
    return _leads_nowhere(one) or _refused(guest, "external_ip", one)


def _leads_nowhere(one: Address) -> str:
    nowhere = one.is_link_local or one.is_loopback or one.is_multicast or one.is_unspecified
    return _("nobody reaches it from elsewhere") if nowhere else ""


def _refused(guest: GuestSeen, field: str, one: Address) -> str:
    """What saving would say."""
    server = Server(is_vm=True, vm_host=guest.host, **{field: str(one)})
    return " ".join(str(text).rstrip(".") for text in problems(server).get(field, ()))


def came_from(guest: GuestSeen, address: str) -> str:
    """Where a proposed address comes from."""
    card = cards(guest.config).get(address)
    if card is None and address in guest.live:
        return _(
            "It says that it has this address now (DHCP or the like). Such an address may change: reserve it for this "
            "guest, or give the guest a fixed one."
        )
    if card is None or not card.bridge:
        return _("From its configuration on the host.")
    place = {"card": card.name, "bridge": card.bridge, "vlan": card.vlan}
    if card.vlan:
        return _("From its configuration on the host: %(card)s, on %(bridge)s, VLAN %(vlan)s.") % place
    return _("From its configuration on the host: %(card)s, on %(bridge)s.") % place


def nothing_known(guest: GuestSeen) -> str:
    """Why no address is proposed, where the guest has one that nobody could tell; else empty."""
    if guest.addresses or not (guest.config_at is None or has_open(guest.kind, guest.config)):
        return ""
    if guest.config_at is None:
        return _("Its configuration has not been read yet. In a moment this page knows its addresses.")
    if not wanted(guest.kind, guest.config):
        return _(
            "Its configuration does not say its address, and its guest agent, which could, is off in its options."
        )
    if not guest.running:
        return _("It gets its address when it runs (DHCP), and it is off: which one is not known.")
    return _("It gets its address by itself (DHCP), and does not say (yet) which one.")
