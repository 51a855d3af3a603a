"""Forward ports: add, change, switch, delete, ask what answers, read what a host uses itself."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from forwarding.desired_ports import KIND
from forwarding.models import PortClaim, PortForward
from forwarding.port_dangers import Way, dangers
from forwarding.port_rules import problems
from forwarding.services.changing import second_word
from jobs.models import Job
from jobs.services import start_job
from servers import rollouts
from servers.models import Server
from servers.services import StaleEdit

ANSWERS, READ = "forwarding.what_answers", "forwarding.read_ports"


@transaction.atomic
def create_port_forward(actor: Actor, rule: PortForward, *, confirmed: bool = False) -> PortForward:
    """Add this (unsaved) rule and have it rolled out.

    Raises ValidationError with every broken rule by the form's field, SecondWordNeeded unless `confirmed`.
    """
    host = _lock(rule.host_id)
    _check(rule)
    words = second_word(dangers(host, None, Way.of(rule)), confirmed=confirmed)
    rule.save(force_insert=True)
    _claim(rule)
    record(actor, "port.create", rule, after={**facts_of(rule), **words})
    _ask(actor, host, _("%s is new") % rule)
    return rule


@transaction.atomic
def change_port_forward(
    actor: Actor, rule: PortForward, *, version: int, confirmed: bool = False
) -> PortForward:
    """Save the changed rule, shown as of `version`, and have it rolled out. Its host stays what it was.

    Raises StaleEdit, ValidationError by the form's field, SecondWordNeeded unless `confirmed`.
    """
    host = _lock(rule.host_id)
    now = _fresh(rule)
    if now.version != version:
        raise StaleEdit(_("Somebody else has changed this rule since you opened it: it is now %s.") % now)
    _check(rule)
    words = second_word(dangers(host, Way.of(now), Way.of(rule)), confirmed=confirmed)
    before, after = facts_of(now), facts_of(rule)
    if before == after:
        return rule
    rule.version = version + 1
    rule.save()
    if Way.of(now) != Way.of(rule):
        _claim(rule)
    record_change(actor, "port.change", rule, before, {**after, **words})
    if Way.of(now) != Way.of(rule):
        _ask(actor, host, _("%s has changed") % rule)
    return rule


@transaction.atomic
def switch_port_forward(actor: Actor, rule: PortForward, *, active: bool, confirmed: bool = False) -> None:
    """Switch the rule on or off; it keeps its ports. Raises SecondWordNeeded, StaleEdit if it is gone."""
    host = _lock(rule.host_id)
    now = _fresh(rule)
    if now.active == active:
        return
    before = Way.of(now)
    now.active = active
    if active:
        _check(now)
    words = second_word(dangers(host, before, Way.of(now)), confirmed=confirmed)
    now.version += 1
    now.save(update_fields=["active", "version"])
    record(actor, "port.switch", now, before={"active": not active}, after={"active": active, **words})
    _ask(actor, host, (_("%s is switched on") if active else _("%s is switched off")) % now)


@transaction.atomic
def delete_port_forward(actor: Actor, rule: PortForward, *, confirmed: bool = False) -> None:
    """Delete the rule. Raises SecondWordNeeded, StaleEdit if it is gone already."""
    host = _lock(rule.host_id)
    now = _fresh(rule)
    words = second_word(dangers(host, Way.of(now), None), confirmed=confirmed)
    record(actor, "port.delete", now, before={**facts_of(now), **words})
    now.delete()
    if now.active:
        _ask(actor, host, _("%s is deleted") % now)


@transaction.atomic
def ask_what_answers(actor: Actor, rule: PortForward) -> Job:
    """Have a worker try the way of this rule from outside, on the host and at the destination."""
    record(actor, "port.ask", rule)
    title = _("What answers on %(protocol)s %(ports)s of %(host)s") % {
        "protocol": rule.get_protocol_display(),
        "ports": rule.ports,
        "host": rule.host,
    }
    return start_job(actor, ANSWERS, title, {"rule": rule.pk}, subject=rule, once=True)


@transaction.atomic
def read_ports(actor: Actor, host: Server) -> Job:
    """Have a worker read which ports the host itself uses."""
    record(actor, "port.read", host)
    title = _("Read which ports %s uses itself") % host
    return start_job(actor, READ, title, {"host": host.pk}, subject=host, once=True)


def facts_of(rule: PortForward) -> dict[str, Any]:
    """The rule in plain values, for the audit trail."""
    return {
        "host": str(rule.host),
        "protocol": rule.protocol,
        "ports": rule.ports,
        "destination": str(rule.destination),
        "destination_ports": rule.destination_ports,
        "active": rule.active,
        "note": rule.note,
    }


def _lock(host_id: int) -> Server:
    """Let nobody else change rules of this host meanwhile."""
    return Server.objects.select_for_update(no_key=True).get(pk=host_id)


def _fresh(rule: PortForward) -> PortForward:
    now = PortForward.objects.select_related("host", "destination").filter(pk=rule.pk).first()
    if now is None:
        raise StaleEdit(_("Somebody else has deleted this rule."))
    return now


def _check(rule: PortForward) -> None:
    typed = {"protocol", "note"}
    rule.clean_fields(exclude=[field.name for field in rule._meta.fields if field.name not in typed])
    if found := problems(rule):
        raise ValidationError(found)


def _claim(rule: PortForward) -> None:
    """Claim exactly the rule's ports; the database refuses what another rule has."""
    rule.claims.all().delete()
    claims = [
        PortClaim(rule=rule, host_id=rule.host_id, protocol=rule.protocol, port=port)
        for port in range(rule.first_port, rule.last_port + 1)
    ]
    try:
        with transaction.atomic():
            PortClaim.objects.bulk_create(claims, batch_size=5000)
    except IntegrityError as error:
        taken = _("Another rule of %(host)s has one of these ports already.") % {"host": rule.host}
        raise ValidationError({"ports": taken}) from error


def _ask(actor: Actor, host: Server, why: str) -> None:
    rollouts.ask(actor, host, [KIND], why)
