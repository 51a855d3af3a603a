"""The rules of forwarded ports: what is wrong with one, told by the form's field."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from django.utils.translation import gettext as _

from forwarding.models import PortForward
from forwarding.models.ports import LAST_PORT

Problem = tuple[str, Any]


def problems(rule: PortForward) -> dict[str, list[Any]]:
    """Every broken rule, by the form's field; reads other rules, so call it in the transaction that saves."""
    found: dict[str, list[Any]] = {}
    for check in (_host_rules, _destination_rules, _port_rules):
        for field, text in check(rule):
            found.setdefault(field, []).append(text)
    return found


def _host_rules(rule: PortForward) -> Iterator[Problem]:
    if not rule.host.is_proxmox:
        yield "host", _("%(host)s is no Proxmox host; only those forward ports.") % {"host": rule.host}


def _destination_rules(rule: PortForward) -> Iterator[Problem]:
    guest = rule.destination
    if guest.vm_host_id != rule.host_id:
        yield "destination", _("%(guest)s does not run on %(host)s.") % {"guest": guest, "host": rule.host}
    if not guest.internal_ip:
        yield (
            "destination",
            _("%(guest)s has no internal IP to lead to. Fill that in first.") % {"guest": guest},
        )
    elif ip_address(guest.internal_ip).version != 4:
        yield (
            "destination",
            _("%(guest)s has an IPv6 address inside; ports are forwarded by IPv4.") % {"guest": guest},
        )


def _port_rules(rule: PortForward) -> Iterator[Problem]:
    ranges = {
        "ports": (rule.first_port, rule.last_port),
        "destination_ports": (rule.destination_first, rule.destination_last),
    }
    for field, (first, last) in ranges.items():
        if not 1 <= first <= last <= LAST_PORT:
            yield field, _("Ports go from 1 to 65535, the lower one first.")
            return
    width, width_inside = (last - first for first, last in ranges.values())
    if width_inside not in {0, width}:
        yield (
            "destination_ports",
            _("Enter as many ports as on the host (%(count)s), or a single one.") % {"count": width + 1},
        )
    twins = PortForward.objects.filter(
        host=rule.host_id,
        protocol=rule.protocol,
        first_port__lte=rule.last_port,
        last_port__gte=rule.first_port,
    )
    for twin in twins.exclude(pk=rule.pk).select_related("destination")[:3]:
        words = {
            "ports": twin.ports,
            "guest": twin.destination,
            "to": twin.destination_ports,
            "protocol": twin.get_protocol_display(),
        }
        yield "ports", _("%(protocol)s %(ports)s leads to %(guest)s:%(to)s already.") % words
