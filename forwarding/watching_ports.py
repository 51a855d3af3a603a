"""What changes of servers mean for forwarded ports."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from forwarding.desired_ports import KIND
from forwarding.models import PortForward
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
        concerned.add(server.pk)
    if before is None or any(getattr(before, name) != getattr(after, name) for name in OF_GUEST):
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


def _ask_where_used(actor: Actor, host_ids: Iterable[int | None], why: str) -> None:
    """Roll out on those hosts where ports have been forwarded before."""
    used = Rollout.objects.filter(kind=KIND, server__in=[pk for pk in host_ids if pk is not None])
    for rollout in used.select_related("server"):
        rollouts.ask(actor, rollout.server, [KIND], why)
