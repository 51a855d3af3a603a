"""How Proxmox hosts are reached: settings, an admin's word on certificates, trying it."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from jobs.models import Job
from jobs.services import start_job
from proxmox import observing
from proxmox.models import ProxmoxAccess
from servers.models import Server
from servers.services import StaleEdit

TRY = "proxmox.try_access"
CHECKED = ("address", "port", "user", "secret")


@transaction.atomic
def save_access(
    actor: Actor, server: Server, *, address: str, port: int, user: str, secret: str | None, version: int
) -> ProxmoxAccess:
    """Say where and as whom, shown as of `version` (0: there was none), and try it.

    `secret` None keeps the one that is there. Another address or user makes the accepted certificate, or the
    kept secret, count no more: a secret is never sent to where it was not meant for. Raises StaleEdit,
    ValidationError by field.
    """
    row = _locked(server)
    if (row.version if row.pk else 0) != version:
        raise StaleEdit(_("Somebody else has changed this access since you opened it."))
    before = facts_of(row) if row.pk else {}
    moved = bool(row.pk) and (row.address, row.port) != (address, port)
    if secret is None and user and (moved or user != row.user):
        raise ValidationError({"secret": _("Type it again: the address or the user is another one.")})
    if secret and not user:
        raise ValidationError(
            {"user": _("Whose secret or password is it? Without a name it would not count.")}
        )
    row.address, row.port, row.user = address, port, user
    row.secret = "" if not user else row.secret if secret is None else secret
    row.clean_fields(exclude=[field.name for field in row._meta.fields if field.name not in CHECKED])
    if user and not row.secret:
        raise ValidationError({"secret": _("A token or user needs its secret or password.")})
    if moved:
        _forget(row)
    row.version = version + 1
    row.save()
    after = {**facts_of(row), **({"secret": "changed"} if secret else {})}
    record_change(actor, "proxmox_access.change", server, before, after)
    try_access(actor, server)
    return row


def facts_of(row: ProxmoxAccess) -> dict[str, Any]:
    """The access in plain values, without its secret, for the audit trail."""
    return {"address": row.address, "port": row.port, "user": row.user, "certificate": row.fingerprint}


@transaction.atomic
def accept_certificate(actor: Actor, server: Server, fingerprint: str) -> None:
    """Trust the offered certificate from now on, if it is still the one with this fingerprint, and try.

    Raises StaleEdit if another one is offered by now.
    """
    row = _locked(server)
    if not row.offered_fingerprint or row.offered_fingerprint != fingerprint:
        raise StaleEdit(_("Another certificate is shown by now. Compare that one."))
    before = row.fingerprint
    row.certificate, row.fingerprint = row.offered_certificate, row.offered_fingerprint
    row.accepted_by, row.accepted_at = actor.name, timezone.now()
    _forget_offer(row)
    row.save()
    record(
        actor,
        "proxmox_certificate.accept",
        server,
        before={"certificate": before},
        after={"certificate": row.fingerprint},
    )
    try_access(actor, server)


@transaction.atomic
def reject_certificate(actor: Actor, server: Server) -> None:
    """Do not trust the offered certificate; the accepted one stays, and is tried again."""
    row = _locked(server)
    if not row.offered_fingerprint:
        return
    record(actor, "proxmox_certificate.reject", server, before={"certificate": row.offered_fingerprint})
    _forget_offer(row)
    row.save()
    try_access(actor, server)


@transaction.atomic
def forget_certificate(actor: Actor, server: Server) -> None:
    """Trust the accepted certificate no longer: from now on the system's CAs decide."""
    row = _locked(server)
    if not row.fingerprint:
        return
    record(actor, "proxmox_certificate.forget", server, before={"certificate": row.fingerprint})
    _forget(row)
    row.save()
    try_access(actor, server)


def try_access(actor: Actor, server: Server) -> Job:
    """Have a worker sign in, and see which rights it has."""
    title = _("Try the Proxmox API of %s") % server
    observing.look_soon(server)
    return start_job(actor, TRY, title, {"server": server.pk}, subject=server, once=True)


@transaction.atomic
def ask_for_try(actor: Actor, server: Server) -> Job:
    """A person wants it tried."""
    record(actor, "proxmox_access.try", server)
    return try_access(actor, server)


def _locked(server: Server) -> ProxmoxAccess:
    Server.objects.select_for_update(no_key=True).get(pk=server.pk)
    return ProxmoxAccess.objects.filter(server=server).first() or ProxmoxAccess(server=server)


def _forget(row: ProxmoxAccess) -> None:
    row.certificate = row.fingerprint = row.accepted_by = ""
    row.accepted_at = None
    _forget_offer(row)


def _forget_offer(row: ProxmoxAccess) -> None:
    row.offered_certificate = row.offered_fingerprint = ""
    row.offered_at = None
