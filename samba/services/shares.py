"""Make shares, change them, switch them, give them new passwords, delete them, show a password."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from samba.desired_shares import KIND
from samba.models import FolderReturn, Share
from samba.passwords import NoShareSecret, has_secret, secret_mark, share_password
from samba.rules import problems, user_name
from servers import rollouts
from servers.models import Server

CHANGEABLE = ("name", "adopt", "read_only", "comment")


class StaleShare(Exception):  # noqa: N818 - a thing that happens between two people, told to the second
    """Somebody else changed or deleted it since it was shown; str() is a sentence."""


@transaction.atomic
def create_share(actor: Actor, share: Share) -> Share:
    """Make this (unsaved) share and have it rolled out.

    Raises ValidationError with every broken rule by the form's field, NoShareSecret.
    """
    if not has_secret():
        raise NoShareSecret
    server = _lock(share.server_id)
    share.folder = share.folder or share.name
    share.user = user_name(server, share.name)
    share.secret_mark = secret_mark()
    _check(share)
    try:
        with transaction.atomic():
            share.save(force_insert=True)
    except IntegrityError as error:
        raise ValidationError({"name": _("Another share was just made in its place.")}) from error
    record(actor, "share.create", share, after=facts_of(share))
    _ask(actor, server, _("The share %s is new") % share.name)
    return share


@transaction.atomic
def change_share(actor: Actor, share: Share, *, version: int) -> Share:
    """Save the changed share, shown as of `version`. Server, user and folder stay, also when it gets another name.

    Raises StaleShare, ValidationError by the form's field.
    """
    server = _lock(share.server_id)
    now = _fresh(share)
    if now.version != version:
        raise StaleShare(
            _("Somebody else has changed this share since you opened it. Compare, then save again.")
        )
    before = facts_of(now)
    for name in CHANGEABLE:
        setattr(now, name, getattr(share, name))
    _check(now)
    if facts_of(now) == before:
        return now
    now.version += 1
    now.save(update_fields=[*CHANGEABLE, "version"])
    record_change(actor, "share.change", now, before, facts_of(now))
    _ask(actor, server, _("The share %s has changed") % now.name)
    return now


@transaction.atomic
def switch_share(actor: Actor, share: Share, *, active: bool) -> None:
    """Switch the share on or off: off, nobody gets in. Raises StaleShare if it is gone."""
    server = _lock(share.server_id)
    now = _fresh(share)
    if now.active == active:
        return
    now.active = active
    now.version += 1
    now.save(update_fields=["active", "version"])
    record(actor, "share.switch", now, before={"active": not active}, after={"active": active})
    why = _("The share %s is switched on") if active else _("The share %s is switched off")
    _ask(actor, server, why % now.name)


@transaction.atomic
def renew_password(actor: Actor, share: Share) -> None:
    """Give the share a new password; the old one counts no more once it is rolled out.

    Raises StaleShare, NoShareSecret.
    """
    server = _lock(share.server_id)
    now = _fresh(share)
    before = now.password_number
    now.password_number += 1
    now.secret_mark = secret_mark()
    now.version += 1
    now.save(update_fields=["password_number", "secret_mark", "version"])
    record(
        actor,
        "share.renew_password",
        now,
        before={"password_number": before},
        after={"password_number": before + 1},
    )
    _ask(actor, server, _("The share %s has a new password") % now.name)


@transaction.atomic
def renew_all(actor: Actor) -> int:
    """Give a new password to every share whose one is from another SAMBA_SECRET_KEY; how many those were.

    Raises NoShareSecret.
    """
    rows = list(Share.objects.exclude(secret_mark=secret_mark()).order_by("server_id", "pk"))
    for share in rows:
        renew_password(actor, share)
    return len(rows)


@transaction.atomic
def delete_share(actor: Actor, share: Share, *, give_back: bool = False) -> None:
    """Delete the share, and its user on the server; what lies in its folder stays.

    The folder is root's alone from then on, or with `give_back` all in it goes back to whom it belonged before the
    share took it over. Raises StaleShare, also where the server has no record of that.
    """
    server = _lock(share.server_id)
    now = _fresh(share)
    if give_back and now.given_at is None:
        raise StaleShare(
            _("Nothing can be given back: the server has no record of who owned the folder before.")
        )
    record(actor, "share.delete", now, before=facts_of(now), after={"give_back": True} if give_back else None)
    if give_back:
        FolderReturn.objects.create(server=server, user=now.user, folder=now.folder)
    now.delete()
    _ask(actor, server, _("The share %s is deleted") % now.name)


@transaction.atomic
def show_password(actor: Actor, share: Share) -> str:
    """The share's password; that it was shown to this person is kept in the audit trail.

    Raises NoShareSecret; StaleShare where SAMBA_SECRET_KEY is no longer the one that the password is from.
    """
    if share.secret_mark != secret_mark():
        raise StaleShare(
            _(
                "Its password is from another SAMBA_SECRET_KEY than the one that is set now. Give it a new one."
            )
        )
    record(actor, "share.show_password", share, after={"password_number": share.password_number})
    return share_password(share.uuid, share.password_number)


def facts_of(share: Share) -> dict[str, Any]:
    """The share in plain values, for the audit trail and for programs; nothing secret is in it."""
    return {
        "server": share.server.name,
        "name": share.name,
        "user": share.user,
        "folder": share.folder,
        "adopt": share.adopt,
        "read_only": share.read_only,
        "comment": share.comment,
        "active": share.active,
    }


def _lock(server_id: int) -> Server:
    """Let nobody else change shares of this server, or the server itself, meanwhile."""
    return Server.objects.select_for_update(no_key=True).get(pk=server_id)


def _fresh(share: Share) -> Share:
    now = Share.objects.select_related("server").filter(pk=share.pk).first()
    if now is None:
        raise StaleShare(_("Somebody else has deleted this share."))
    return now


def _check(share: Share) -> None:
    share.clean_fields(exclude=["uuid", "user", "secret_mark"])
    if found := problems(share):
        raise ValidationError(found)


def _ask(actor: Actor, server: Server, why: str) -> None:
    rollouts.ask(actor, server, [KIND], why)
