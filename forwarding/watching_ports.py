"""What changes of servers mean for forwarded ports."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from forwarding.desired_ports import KIND, network_of
from forwarding.models import PortForward
from forwarding.services.changing import second_word
from forwarding.services.ports import facts_of
from servers import rollouts
from servers.facts import ServerFacts
from servers.models import Rollout, Server
from servers.registry import Held, each

OF_HOST = ("is_proxmox", "external_ip", "external_interface", "internal_ip")
OF_GUEST = ("internal_ip", "vm_host_id")


def server_holds(server: Server) -> Iterable[Held]:
    """The rules that go with a server."""
    url = f"{reverse('forwarding:ports')}?q={server.name}"
    rules = PortForward.objects.select_related("destination")
    yield from each(rules.filter(destination=server), _("the forwarded port %s leads to it"), url)
    yield from each(rules.filter(host=server), _("its port %s is forwarded"), url)


def server_changed(
    actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """Refuse what would leave rules leading nowhere; roll out on the hosts that the change concerns."""
    if after is None:
        _server_goes(actor, server)
        return
    if found := _problems(server, before, after):
        raise ValidationError(found)
    concerned: set[int | None] = set()
    if before and any(getattr(before, name) != getattr(after, name) for name in OF_HOST):
        second_word(_other_interface(server, before, after), confirmed=False)
        concerned.add(server.pk)
    if before is None or any(getattr(before, name) != getattr(after, name) for name in OF_GUEST):
        second_word(_new_network(server, after), confirmed=False)
        concerned |= {before.vm_host_id if before else None, after.vm_host_id}
    _ask_where_used(actor, concerned, _("%s has changed") % server)


def _problems(server: Server, before: ServerFacts | None, after: ServerFacts) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if before is None:
        return found
    leading = PortForward.objects.filter(destination=server).select_related("host")
    if before.vm_host_id != after.vm_host_id and leading.exists():
        found["vm_host"] = _("Forwarded ports of %(host)s lead to it (%(rules)s): delete those first.") % {
            "host": leading[0].host,
            "rules": _some(leading),
        }
    elif not _is_ipv4(after.internal_ip) and _is_ipv4(before.internal_ip) and leading.exists():
        found["internal_ip"] = _(
            "Forwarded ports lead to this IPv4 address (%s): delete those first."
        ) % _some(leading)
    own = PortForward.objects.filter(host=server)
    if before.is_proxmox and not after.is_proxmox and own.exists():
        found["is_proxmox"] = _("Its ports are forwarded (%s): delete those rules first.") % _some(own)
    return found


def _other_interface(host: Server, before: ServerFacts, after: ServerFacts) -> list[str]:
    """What depends on the name of the card to the outside: all that this room does on the host."""
    if before.external_interface == after.external_interface or not after.is_proxmox:
        return []
    if not _used([host.pk]).exists():
        return []
    words = _(
        "%(host)s forwards ports and translates addresses behind %(new)s instead of %(old)s. If that is not its card "
        "to the outside, none of its guests gets out, and no forwarded port leads in."
    )
    return [words % {"host": host, "new": after.external_interface, "old": before.external_interface}]


def _new_network(server: Server, after: ServerFacts) -> list[str]:
    """What begins on the host when a guest has an address outside the networks that it has known."""
    host = server.vm_host
    if host is None or not _is_ipv4(after.internal_ip) or not _used([host.pk]).exists():
        return []
    guests = host.guests.exclude(pk=server.pk).values_list("internal_ip", flat=True)
    known = {network_of(text) for text in (host.internal_ip, *guests) if text and _is_ipv4(text)}
    new = network_of(str(after.internal_ip))
    if not known or new in known:
        return []
    words = _(
        "%(host)s begins to translate addresses of %(new)s. So far it does so for %(known)s: is %(ip)s the address "
        "inside the host?"
    )
    shown = ", ".join(str(one) for one in sorted(known)[:3])
    return [words % {"host": host, "new": new, "known": shown, "ip": after.internal_ip}]


def _some(rules: Any) -> str:
    shown = [f"{rule.protocol} {rule.ports}" for rule in rules[:4]]
    return ", ".join(shown[:3] + ["…"] * (len(shown) > 3))


def _is_ipv4(text: str | None) -> bool:
    return bool(text) and ip_address(str(text)).version == 4


def _server_goes(actor: Actor, server: Server) -> None:
    """Its rules go with it: say so in the audit trail, and take those that lead to it off their hosts."""
    leading = list(PortForward.objects.filter(destination=server).select_related("host", "destination"))
    for rule in leading:
        record(actor, "port.delete", rule, before=facts_of(rule))
    PortForward.objects.filter(pk__in=[rule.pk for rule in leading]).delete()
    hosts = {rule.host_id for rule in leading} | {server.vm_host_id}
    _ask_where_used(actor, hosts, _("%s is deleted") % server)


def _used(host_ids: Iterable[int | None]) -> QuerySet[Rollout]:
    """What rolls ports out, on those hosts where it has been done before."""
    return Rollout.objects.filter(kind=KIND, server__in=[pk for pk in host_ids if pk is not None])


def _ask_where_used(actor: Actor, host_ids: Iterable[int | None], why: str) -> None:
    """Roll out on those hosts where ports have been forwarded before."""
    for rollout in _used(host_ids).select_related("server"):
        rollouts.ask(actor, rollout.server, [KIND], why)
