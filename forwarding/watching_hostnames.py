"""What changes of servers mean for hostnames."""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from forwarding.desired_hostnames import KIND
from forwarding.hostname_claims import claim, taken
from forwarding.hostname_dangers import Served, dangers
from forwarding.hostname_rules import some
from forwarding.hostname_ways import port_outside, ports_of
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.models.hostnames import address_of
from forwarding.services.changing import second_word
from forwarding.services.hostnames import facts_of, without
from servers import rollouts
from servers.facts import ServerFacts
from servers.models import Server
from servers.registry import Held, each

OF_ADDRESS = ("name", "internal_ip", "external_ip", "vm_host_id", "is_vm")


def server_holds(server: Server) -> Iterable[Held]:
    """The hostnames that lead to a server, or are served on it."""
    url = f"{reverse('forwarding:hostnames')}?q={server.name}"
    leading = HostnameForward.objects.filter(destinations__server=server).distinct()
    yield from each(leading, _("the hostname %s leads to it"), url)
    yield from each(HostnameForward.objects.filter(host=server), _("the hostname %s is its own"), url)


def server_changed(
    actor: Actor, server: Server, before: ServerFacts | None, after: ServerFacts | None
) -> None:
    """Refuse what would leave hostnames leading nowhere; roll out where the change concerns them."""
    if after is None:
        _server_goes(actor, server)
    elif before is not None:
        _nginx_changed(actor, server, before, after)
        if any(getattr(before, name) != getattr(after, name) for name in OF_ADDRESS):
            _address_changed(actor, server, before, after)


def _nginx_changed(actor: Actor, host: Server, before: ServerFacts, after: ServerFacts) -> None:
    """The hostnames of the host, with their names and ports, go to its new nginx server."""
    own = list(HostnameForward.objects.filter(host=host))
    if before.nginx_server_id == after.nginx_server_id or not own:
        return
    new = Server.objects.filter(pk=after.nginx_server_id or 0).first()
    if new is None:
        field = "nginx_server" if after.is_proxmox else "is_proxmox"
        text = _("Its nginx server leads hostnames (%s): delete those first.") % some(own)
        raise ValidationError({field: text})
    for hostname in own:
        found = [text for _field, text in taken(hostname, new)]
        if found:
            raise ValidationError({"nginx_server": found})
        claim(hostname, new)
    old = Server.objects.filter(pk=before.nginx_server_id or 0).first()
    if old is not None:
        words = _(
            "The hostnames of %(host)s (%(names)s) are served by %(new)s from now on, and by %(old)s no more."
        )
        said = words % {"host": host, "names": some(own), "new": new, "old": old}
        second_word([said, *_without_a_way(host, own, old, new)], confirmed=False)
    _ask(actor, {before.nginx_server_id, new.pk}, _("%s has another nginx server") % host)


def _without_a_way(host: Server, own: list[HostnameForward], old: Server, new: Server) -> Iterable[str]:
    """The ports outside stay where they are: which of them lead to the old nginx server alone."""
    used = {port for hostname in own if hostname.active for port in ports_of(hostname).values()}
    lost = [
        port
        for port in sorted(used)
        if port_outside(host.pk, old, port) and not port_outside(host.pk, new, port)
    ]
    if lost:
        yield _(
            "From outside, nobody reaches them there before you forward the ports, too: of %(host)s, those for "
            "%(ports)s lead to %(old)s."
        ) % {"host": host, "ports": ", ".join(map(str, lost)), "old": old}


def _address_changed(actor: Actor, server: Server, before: ServerFacts, after: ServerFacts) -> None:
    leading = _leading_to(server)
    lost = [hostname for hostname in leading if address_of(server, hostname.host_id) is None]
    if lost:
        field = "vm_host" if before.vm_host_id != after.vm_host_id else "internal_ip"
        text = _("Hostnames lead to it (%s), and would not reach it any more: change those first.")
        raise ValidationError({field: text % some(lost)})
    concerned = {hostname.host.nginx_server_id for hostname in leading if hostname.active}
    _ask(actor, concerned, _("%s has changed") % server)


def _leading_to(server: Server) -> list[HostnameForward]:
    ids = HostnameDestination.objects.filter(server=server).values("hostname")
    rows = HostnameForward.objects.filter(pk__in=ids).select_related("host")
    return list(rows.prefetch_related("destinations__server"))


def _server_goes(actor: Actor, server: Server) -> None:
    """Hostnames lose it as a destination, and go with it where no other one is left."""
    leading = _leading_to(server)
    found: list[str] = []
    for hostname in leading:
        left = without(hostname, server)
        served = Served.of(hostname, hostname.destinations.all())
        found += dangers(hostname.host, served, Served.of(hostname, left) if left else None)
    second_word(found, confirmed=False)
    for hostname in leading:
        before = facts_of(hostname, hostname.destinations.all())
        left = without(hostname, server)
        if not left:
            record(actor, "hostname.delete", hostname, before=before)
            hostname.delete()
            continue
        HostnameDestination.objects.filter(hostname=hostname, server=server).delete()
        HostnameDestination.objects.bulk_update(left, ["backup"])
        hostname.version += 1
        hostname.save(update_fields=["version"])
        record_change(actor, "hostname.change", hostname, before, facts_of(hostname, left))
    concerned = {hostname.host.nginx_server_id for hostname in leading if hostname.active}
    _ask(actor, concerned, _("%s is deleted") % server)


def _ask(actor: Actor, nginx_ids: Iterable[int | None], why: Any) -> None:
    for nginx in Server.objects.filter(pk__in=[pk for pk in nginx_ids if pk is not None]).order_by("pk"):
        rollouts.ask(actor, nginx, [KIND], why)
