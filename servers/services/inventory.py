"""Add, change and delete servers and their unix users."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.audit import record, record_change
from accounts.models import AuditEntry, User
from servers import registry
from servers.claims import claimed
from servers.facts import ServerFacts, facts_of, readable
from servers.identity import panel_identity
from servers.models import Server, Tag, UnixUser
from servers.registry import Held
from servers.services.work import start_check

CONNECTION_FIELDS = ("ssh_connection", "internal_ip", "vm_host_id")


class StaleEdit(Exception):  # noqa: N818 - a thing that happens between two people, told to the second
    """Somebody else changed or deleted the thing since it was shown; str() is a sentence. For every room."""


class DeleteRefused(Exception):  # noqa: N818 - told to the person
    """The server cannot be deleted now; str() says what to do first."""


@transaction.atomic
def create_server(
    actor: Actor,
    server: Server,
    *,
    unix_users: Iterable[str] = ("root",),
    owners: Iterable[User] = (),
    tags: Iterable[str] = (),
    nginx_of_host: bool = False,
    nginx_guest: Server | None = None,
) -> Server:
    """Add this (unsaved) server.

    `nginx_of_host`: it becomes the nginx server of its host. `nginx_guest`: of a Proxmox host, a server that stands
    alone, and becomes its guest and nginx server. Raises ValidationError with every broken rule by field.
    """
    _lock_chain(server)
    server.full_clean()
    server.save(force_insert=True)
    panel_identity()  # so that its page can say what to put on the new server
    for name in dict.fromkeys(unix_users):
        _save_unix_user(UnixUser(server=server, name=name))
    server.owners.set(owners)
    _set_tags(server, tags)
    after = facts_of(server)
    record(actor, "server.create", server, after=readable(after))
    registry.tell_changed(actor, server, None, after)
    start_check(actor, server)
    with _told_by("nginx_of_host"):
        if nginx_of_host:
            become_nginx_server(actor, server)
    with _told_by("nginx_server"):
        if nginx_guest:
            nginx_guest.is_vm, nginx_guest.vm_host = True, server
            become_nginx_server(actor, change_server(actor, nginx_guest, version=nginx_guest.version))
            server.refresh_from_db()
    return server


@contextmanager
def _told_by(field: str) -> Iterator[None]:
    """Tell what is wrong with another server by this field."""
    try:
        yield
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error


@transaction.atomic
def become_nginx_server(actor: Actor, server: Server) -> None:
    """Make this guest the nginx server of its host, which has none yet. Raises ValidationError."""
    host = (
        Server.objects.select_for_update(no_key=True)
        .filter(pk=server.vm_host_id or 0, is_proxmox=True)
        .first()
    )
    if host is None:
        raise ValidationError(_("Only a guest of a Proxmox host can be its nginx server."))
    if host.nginx_server is not None and host.nginx_server_id != server.pk:
        words = {"host": host, "nginx": host.nginx_server}
        raise ValidationError(
            _("%(host)s has %(nginx)s as its nginx server. Choose another one on its page.") % words
        )
    host.nginx_server = server
    change_server(actor, host, version=host.version)


@transaction.atomic
def change_server(
    actor: Actor,
    server: Server,
    *,
    version: int,
    owners: Iterable[User] | None = None,
    tags: Iterable[str] | None = None,
) -> Server:
    """Save the changed settings of this server, shown as of `version`; owners and tags where given.

    Raises StaleEdit if somebody else has changed it since, ValidationError with every broken rule by field.
    """
    _lock_chain(server)
    now = Server.objects.get(pk=server.pk)
    if now.version != version:
        raise StaleEdit(_who_changed(now))
    before = facts_of(server)
    server.version = version + 1
    server.full_clean()
    server.save(update_fields=[*_settings(), "version"])
    if owners is not None:
        server.owners.set(owners)
    if tags is not None:
        _set_tags(server, tags)
    after = facts_of(server)
    if before != after:
        record_change(actor, "server.change", server, readable(before), readable(after))
        registry.tell_changed(actor, server, before, after)
        if any(getattr(before, name) != getattr(after, name) for name in CONNECTION_FIELDS):
            start_check(actor, server)
    return server


def _settings() -> list[str]:
    """The fields that a person sets: a check that ends at the same time keeps what it wrote."""
    return [field.attname for field in Server._meta.fields if field.editable and not field.primary_key]


def _lock_chain(server: Server) -> None:
    """Let nobody else change it or its host meanwhile: rules between servers need both to stand still."""
    ids = [pk for pk in (server.pk, server.vm_host_id) if pk is not None]
    list(Server.objects.select_for_update(no_key=True).filter(pk__in=ids).order_by("pk").values_list("pk"))


def _who_changed(server: Server) -> str:
    entry = AuditEntry.objects.filter(
        object_type=server._meta.label_lower, object_id=str(server.pk), verb="server.change"
    ).first()
    if entry is None:
        return _("Somebody else has changed this server since you opened it. Compare, then save again.")
    changes = "; ".join(
        f"{name}: {(entry.before or {}).get(name)!s} → {value!s}"
        for name, value in (entry.after or {}).items()
    )
    return _(
        "%(who)s has changed this server since you opened it (%(changes)s). What you typed is still here: "
        "compare, then save again."
    ) % {"who": entry.actor_name, "changes": changes}


def _set_tags(server: Server, names: Iterable[str]) -> None:
    slugs = {slugify(name, allow_unicode=True)[:40] for name in names}
    server.tags.set([Tag.objects.get_or_create(name=slug)[0] for slug in sorted(slugs - {""})])
    Tag.objects.filter(servers=None).delete()


def _save_unix_user(unix_user: UnixUser) -> None:
    unix_user.full_clean()
    unix_user.save()


@transaction.atomic
def add_unix_user(actor: Actor, server: Server, name: str) -> UnixUser:
    """Add a unix user. Raises ValidationError."""
    before = facts_of(server)
    unix_user = UnixUser(server=server, name=name)
    _save_unix_user(unix_user)
    _note_unix_users(actor, server, before)
    return unix_user


@transaction.atomic
def remove_unix_user(actor: Actor, unix_user: UnixUser) -> None:
    """Remove a unix user from the inventory. On the server itself the account stays.

    Raises DeleteRefused while something needs it.
    """
    server = unix_user.server
    if blocking := [held for held in registry.held_by_unix_user(unix_user) if held.blocks]:
        raise DeleteRefused(registry.sentence(blocking))
    before = facts_of(server)
    registry.tell_unix_user_going(unix_user)
    unix_user.delete()
    _note_unix_users(actor, server, before)


def _note_unix_users(actor: Actor, server: Server, before: ServerFacts) -> None:
    after = facts_of(server)
    record_change(actor, "server.change", server, readable(before), readable(after))
    registry.tell_changed(actor, server, before, after)


def holds_of(server: Server) -> list[Held]:
    """All that hangs on this server: what blocks its deletion first."""
    held = [
        Held(_("%s runs on it") % guest, guest.get_absolute_url(), blocks=True, row=guest)
        for guest in server.guests.all()
    ]
    held += [
        Held(_("it is the nginx server of %s") % host, host.get_absolute_url(), blocks=True, row=host)
        for host in server.nginx_for.all()
    ]
    held += registry.held_by(server)
    counted = (
        (server.unix_users.count(), ngettext("%d unix user", "%d unix users", server.unix_users.count())),
        (server.rollouts.count(), ngettext("%d rollout", "%d rollouts", server.rollouts.count())),
        (
            server.rollout_records.count(),
            ngettext("%d entry of its history", "%d entries of its history", server.rollout_records.count()),
        ),
    )
    held += [Held(text % count) for count, text in counted if count]
    return sorted(held, key=lambda one: not one.blocks)


@transaction.atomic
def delete_server(actor: Actor, server: Server, typed_name: str) -> None:
    """Delete it from the inventory, with all that hangs on it; nothing happens on the server itself.

    Raises ValidationError unless the name was typed, DeleteRefused while something needs it.
    """
    if typed_name.strip().lower() != server.name:
        raise ValidationError({"name": _("Type the server's name to delete it.")})
    _lock_chain(server)
    if claimed(server):
        raise DeleteRefused(_("A rollout is running on this server. Wait for its end, or stop it."))
    blocking = [held for held in holds_of(server) if held.blocks]
    if blocking:
        raise DeleteRefused(registry.sentence(blocking))
    before = facts_of(server)
    registry.tell_changed(actor, server, before, None)
    record(actor, "server.delete", server, before=readable(before))
    try:
        server.delete()
    except ProtectedError as error:
        raise DeleteRefused(_("Something else still needs this server: %s") % error) from error
    Tag.objects.filter(servers=None).delete()
