"""Create containers: ask for one, ask again, read what a host offers."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from jobs.models import Job
from jobs.services import start_job
from proxmox.addresses import NoAddress, gateway_of, next_free, problem_with, settings_of
from proxmox.create_options import plain_options
from proxmox.first_start import into_inventory
from proxmox.models import OPEN, AddressClaim, Creation, CreationState, GuestSeen
from proxmox.models.addresses import claim_expiry
from proxmox.models.creations import new_marker
from proxmox.passwords import secret_mark
from servers.foretelling import Effect, foretell
from servers.models import Server
from servers.services import create_server
from servers.validators import machine_name_of

CREATE, READ_OFFER = "proxmox.create", "proxmox.read_offer"


class CreateRefused(Exception):  # noqa: N818 - told to the person
    """It cannot be done now; str() says why."""


@dataclass(frozen=True)
class Wanted:
    """A container that somebody asks for. Sizes in GiB (disk) and MiB (memory, swap).

    Left empty, the address is the next free one, the gateway and the bridge those of the host's network.
    """

    host: Server
    name: str
    template: str
    storage: str
    disk: int = 8
    memory: int = 1024
    swap: int = 512
    cores: int = 1
    address: str = ""
    gateway: str = ""
    bridge: str = ""
    name_servers: list[str] = field(default_factory=list)
    ssh_keys: str = ""
    unprivileged: bool = True
    onboot: bool = True
    nesting: bool = False
    start: bool = True


@transaction.atomic
def create_container(actor: Actor, wanted: Wanted) -> Creation:
    """Have this container created; its server is added to the inventory if it is not there.

    The address is claimed here and now. Raises ValidationError by the form's field, NoPasswordSecret.
    """
    mark = secret_mark()
    host = _lock(wanted.host)
    server = _server(actor, host, wanted.name)
    creation = _filled(host, server, wanted)
    creation.password_host, creation.password_server, creation.password_mark = host.name, server.name, mark
    creation.asked_by = actor.name
    creation.save(force_insert=True)
    AddressClaim.objects.create(host=host, address=creation.address, creation=creation)
    record(actor, "container.create", server, after=_shown(creation))
    _begin(actor, creation)
    return creation


def plan_of(wanted: Wanted) -> dict[str, Any]:
    """What Proxmox would be asked for, without the password and the keys. Nothing is claimed or written.

    Raises as create_container.
    """
    secret_mark()
    server = Server.objects.filter(name=wanted.name).first()
    if server is not None and (problem := why_not(wanted.host, server)):
        raise ValidationError({"name": problem})
    server = server or Server(name=wanted.name)
    creation = _filled(wanted.host, server, wanted)
    return {name: value for name, value in plain_options(creation).items() if name != "description"}


def rolled_out_by(actor: Actor, wanted: Wanted) -> list[Effect]:
    """What the inventory's new server, or the address that its server gets, has rolled out. Nothing is done yet.

    Raises as create_container, also where the inventory would refuse the address once the container has it.
    """

    def change() -> None:
        creation = create_container(actor, wanted)
        try:
            into_inventory(actor, creation)
        except ValidationError as error:
            raise ValidationError({"address": error.messages}) from error

    return foretell(change)


def _filled(host: Server, server: Server, wanted: Wanted) -> Creation:
    settings = settings_of(host)
    return Creation(
        host=host,
        server=server,
        hostname=machine_name_of(server.name),
        address=_address(host, server, wanted.address),
        prefix_length=settings.prefix_length,
        gateway=wanted.gateway or gateway_of(host, settings) or None,
        bridge=wanted.bridge or settings.bridge or "vmbr0",
        **{name: getattr(wanted, name) for name in _AS_THEY_ARE},
    )


_AS_THEY_ARE = (
    *("template", "storage", "disk", "memory", "swap", "cores", "name_servers", "ssh_keys"),
    *("unprivileged", "onboot", "nesting", "start"),
)


def _lock(host: Server) -> Server:
    """One create of a host at a time gets as far as its claim."""
    AddressClaim.objects.filter(host=host, expires_at__lte=timezone.now()).delete()
    return Server.objects.select_for_update(no_key=True).get(pk=host.pk)


def _server(actor: Actor, host: Server, name: str) -> Server:
    found = Server.objects.filter(name=name).first()
    if found is None:
        try:
            return create_server(actor, Server(name=name, is_vm=True, vm_host=host))
        except ValidationError as error:
            raise ValidationError({"name": error.messages}) from error
    if problem := why_not(host, found):
        raise ValidationError({"name": problem})
    return found


def why_not(host: Server, server: Server) -> str:
    """Why no container can be created on this host for this server, as a sentence; empty if one can."""
    if server.is_proxmox or not server.is_vm:
        return _("%s is in the inventory, and is no VM or container.") % server
    if server.vm_host_id != host.pk:
        return _("%(server)s is in the inventory, and runs on %(host)s.") % {
            "server": server,
            "host": server.vm_host,
        }
    if Creation.objects.filter(server=server, state__in=OPEN).exists():
        return _("A container is being created for %s already.") % server
    seen = GuestSeen.objects.present().filter(Q(server=server) | Q(name=server.name), host=host).first()
    if seen is not None:
        words = _("%(server)s has a container already: %(guest)s on %(host)s.")
        return words % {"server": server, "guest": seen, "host": host}
    return ""


def _address(host: Server, server: Server, wanted: str) -> str:
    wanted = wanted or server.internal_ip or ""
    if not wanted:
        try:
            return next_free(host)
        except NoAddress as error:
            raise ValidationError({"address": str(error)}) from error
    if problem := problem_with(host, wanted, of=server if server.pk else None):
        with suppress(NoAddress):
            problem += " " + _("Free is %s.") % next_free(host)
        raise ValidationError({"address": problem})
    return wanted


def _begin(actor: Actor, creation: Creation) -> None:
    title = _("Create %(server)s on %(host)s") % {"server": creation.server, "host": creation.host}
    job = start_job(actor, CREATE, title, {"creation": creation.pk}, subject=creation.server)
    Creation.objects.filter(pk=creation.pk).update(job=job)
    creation.job = job


def _shown(creation: Creation) -> dict[str, Any]:
    keys = len(creation.ssh_keys.splitlines())
    return {**plain_options(creation), "host": creation.host.name, "start": creation.start, "more_keys": keys}


@transaction.atomic
def try_again(actor: Actor, creation: Creation) -> None:
    """Begin anew with the same settings; what an earlier attempt left is looked at first.

    Raises CreateRefused, NoPasswordSecret.
    """
    mark = secret_mark()
    host = _lock(creation.host)
    row = Creation.objects.select_for_update(of=("self",)).select_related("server").get(pk=creation.pk)
    if row.open or row.state == CreationState.DONE:
        raise CreateRefused(_("This create is not one that has failed."))
    if row.vmid is None:
        problem = why_not(host, row.server) or problem_with(host, row.address, of=row.server, creation=row)
        if problem:
            raise CreateRefused(_("%s Change it and create it anew.") % problem)
        # Nothing of it exists, so the next container is one of its own, with the names and secret of today.
        row.marker, row.password_mark = new_marker(), mark
        row.password_host, row.password_server = host.name, row.server.name
    row.state, row.why, row.errors, row.ended_at = CreationState.WAITING, "", {}, None
    try:
        with transaction.atomic():
            row.save()
            AddressClaim.objects.update_or_create(
                creation=row, defaults={"host": host, "address": row.address, "expires_at": claim_expiry()}
            )
    except IntegrityError as error:
        raise CreateRefused(_("Another create has its id, address or server now.")) from error
    record(actor, "container.create", row.server, after=_shown(row))
    _begin(actor, row)


def read_offer(actor: Actor, host: Server) -> Job:
    """Have what this host offers for new containers read now."""
    title = _("Read what %s offers for new containers") % host
    return start_job(actor, READ_OFFER, title, {"host": host.pk}, subject=host, once=True)
