"""Lead hostnames to servers: add, change, switch, delete."""

from collections.abc import Iterable, Sequence
from copy import copy
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from forwarding.desired_hostnames import KIND
from forwarding.hostname_claims import claim
from forwarding.hostname_dangers import Served, dangers
from forwarding.hostname_rules import problems
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.services.changing import second_word
from servers import rollouts
from servers.models import Server
from servers.services import StaleEdit

Destinations = Sequence[HostnameDestination]


@transaction.atomic
def create_hostname(
    actor: Actor, hostname: HostnameForward, destinations: Destinations, *, confirmed: bool = False
) -> HostnameForward:
    """Add this (unsaved) hostname with its (unsaved) destinations and have it rolled out.

    Raises ValidationError with every broken rule by the form's field, SecondWordNeeded unless `confirmed`.
    """
    nginx = _check(hostname, destinations, _lock(hostname))
    found = dangers(hostname.host, None, Served.of(hostname, destinations))
    words = second_word(found, confirmed=confirmed)
    hostname.save(force_insert=True)
    _set_destinations(hostname, destinations)
    claim(hostname, nginx)
    record(actor, "hostname.create", hostname, after={**facts_of(hostname, destinations), **words})
    _ask(actor, nginx, _("%s is new") % hostname)
    return hostname


@transaction.atomic
def change_hostname(
    actor: Actor,
    hostname: HostnameForward,
    destinations: Destinations,
    *,
    version: int,
    confirmed: bool = False,
) -> HostnameForward:
    """Save the changed hostname, shown as of `version`, and have it rolled out. Its host stays what it was.

    Raises StaleEdit, ValidationError by the form's field, SecondWordNeeded unless `confirmed`.
    """
    nginx = _lock(hostname)
    now = _fresh(hostname)
    if now.version != version:
        raise StaleEdit(
            _("Somebody else has changed this hostname since you opened it. Compare, then save again.")
        )
    nginx = _check(hostname, destinations, nginx)
    old = list(now.destinations.all())
    served, will = Served.of(now, old), Served.of(hostname, destinations)
    words = second_word(dangers(hostname.host, served, will), confirmed=confirmed)
    before, after = facts_of(now, old), facts_of(hostname, destinations)
    if before == after:
        return hostname
    hostname.version = version + 1
    hostname.save(update_fields=[*_settings(), "version"])
    if served != will:
        _set_destinations(hostname, destinations)
        claim(hostname, nginx)
    record_change(actor, "hostname.change", hostname, before, {**after, **words})
    if served != will and (served.active or will.active):
        _ask(actor, nginx, _("%s has changed") % hostname)
    return hostname


@transaction.atomic
def switch_hostname(
    actor: Actor, hostname: HostnameForward, *, active: bool, confirmed: bool = False
) -> None:
    """Switch it on or off; it keeps its name and ports. Raises SecondWordNeeded, StaleEdit if it is gone."""
    nginx = _lock(hostname)
    now = _fresh(hostname)
    if now.active == active:
        return
    destinations = list(now.destinations.all())
    before = Served.of(now, destinations)
    now.active = active
    if active:
        _check(now, destinations, nginx)
    found = dangers(now.host, before, Served.of(now, destinations))
    words = second_word(found, confirmed=confirmed)
    now.version += 1
    now.save(update_fields=["active", "version"])
    record(actor, "hostname.switch", now, before={"active": not active}, after={"active": active, **words})
    _ask(actor, nginx, (_("%s is switched on") if active else _("%s is switched off")) % now)


@transaction.atomic
def delete_hostname(actor: Actor, hostname: HostnameForward, *, confirmed: bool = False) -> None:
    """Delete it. Raises SecondWordNeeded, StaleEdit if it is gone already."""
    nginx = _lock(hostname)
    now = _fresh(hostname)
    destinations = list(now.destinations.all())
    words = second_word(dangers(now.host, Served.of(now, destinations), None), confirmed=confirmed)
    record(actor, "hostname.delete", now, before={**facts_of(now, destinations), **words})
    now.delete()
    if now.active:
        _ask(actor, nginx, _("%s is deleted") % now)


def without(hostname: HostnameForward, server: Server) -> list[HostnameDestination]:
    """Its other destinations, not saved; where they are all spare ones, the first of them is not any more."""
    left = [copy(one) for one in hostname.destinations.all() if one.server_id != server.pk]
    if left and all(one.backup for one in left):
        left[0].backup = False
    return left


def facts_of(hostname: HostnameForward, destinations: Iterable[HostnameDestination]) -> dict[str, Any]:
    """The hostname in plain values, for the audit trail and for programs."""
    return {
        "host": str(hostname.host),
        "domain": hostname.domain,
        "port": hostname.port,
        "https_port": hostname.https_port if hostname.wants_tls else None,
        "destinations": [_words(one) for one in destinations],
        "destination_port": hostname.destination_port,
        "balancing": hostname.balancing,
        "max_fails": hostname.max_fails,
        "fail_timeout": hostname.fail_timeout,
        "websockets": hostname.websockets,
        "body_size": hostname.body_size,
        "force_https": hostname.force_https,
        "is_default": hostname.is_default,
        "certificate_kind": hostname.certificate_kind,
        "certificate_path": hostname.certificate_path,
        "key_path": hostname.key_path,
        "active": hostname.active,
        "note": hostname.note,
    }


def _words(destination: HostnameDestination) -> str:
    """A destination as a person reads it: "web1", "web2 ×3", "web3 (spare)"."""
    weight = f" ×{destination.weight}" if destination.weight != 1 else ""
    return f"{destination.server}{weight}{' (spare)' if destination.backup else ''}"


def _lock(hostname: HostnameForward) -> Server | None:
    """Let nobody else change hostnames of this host or nginx server meanwhile; gives the nginx server."""
    servers = Server.objects.filter(pk=hostname.host_id)
    nginx_ids = servers.filter(nginx_server__isnull=False).values_list("nginx_server_id", flat=True)
    ids = [hostname.host_id, *(pk for pk in nginx_ids if pk)]
    list(Server.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk"))
    host = servers.select_related("nginx_server").first()
    if host is None:
        raise StaleEdit(_("Somebody else has deleted this host."))
    hostname.host = host
    return host.nginx_server


def _fresh(hostname: HostnameForward) -> HostnameForward:
    rows = HostnameForward.objects.select_related("host").prefetch_related("destinations__server")
    now = rows.filter(pk=hostname.pk).first()
    if now is None:
        raise StaleEdit(_("Somebody else has deleted this hostname."))
    return now


def _settings() -> list[str]:
    """The fields that a person sets: what is read of the nginx server at the same time is not overwritten."""
    return [field.name for field in HostnameForward._meta.fields if field.editable and not field.primary_key]


def _check(hostname: HostnameForward, destinations: Destinations, nginx: Server | None) -> Server:
    """The nginx server; raises ValidationError with every broken rule by the form's field."""
    found: dict[str, list[Any]] = {}
    try:
        hostname.clean_fields(exclude=["host"])
    except ValidationError as error:
        found.update(error.error_dict)
    for destination in destinations:
        try:
            destination.clean_fields(exclude=["hostname", "server", "position"])
        except ValidationError as error:
            found.setdefault("destinations", []).extend(error.messages)
    found = found or problems(hostname, destinations, nginx)
    if found or nginx is None:
        raise ValidationError(found)
    return nginx


def _set_destinations(hostname: HostnameForward, destinations: Destinations) -> None:
    hostname.destinations.all().delete()
    for position, destination in enumerate(destinations):
        destination.pk = None
        destination.hostname = hostname
        destination.position = position
    HostnameDestination.objects.bulk_create(destinations)


def _ask(actor: Actor, nginx: Server | None, why: str) -> None:
    if nginx is not None:
        rollouts.ask(actor, nginx, [KIND], why)
