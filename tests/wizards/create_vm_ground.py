"""A Proxmox host with all that create_vm can use, as rows; and its steps filled in by what they compute."""

from typing import Any

from django.db.models import Model, QuerySet
from django.forms import Form
from django.utils import timezone

from accounts.actors import Actor
from keymanager.models import Group
from keymanager.services.groups import add_to_group, create_group
from keymanager.services.keys import add_keys
from lab.demo_fleet import public_key
from proxmox.models import Offer
from servers.models import HostKey, Server, Tag, UnixUser
from wizards.wizards.create_vm import create_vm

SYSTEM = Actor.system("test")
TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"
OTHER = "local:vztmpl/alpine-3.20-default_20240908_amd64.tar.xz"


def proxmox_host(name: str = "pve1.example.org", **more: Any) -> Server:
    """A Proxmox host that the panel reaches, whose offer has been read."""
    fields = {"external_ip": "198.51.100.9", "internal_ip": "10.0.0.1", "ssh_connection": f"root@{name}"}
    host = Server.objects.create(
        name=name, keymanager_name=name, is_proxmox=True, proxmox_node="pve1", external_interface="vmbr0",
        **{**fields, **more},
    )  # fmt: skip
    pin(host)
    Offer.objects.create(
        host=host,
        templates=[[OTHER, 3_000_000], [TEMPLATE, 126_000_000]],
        storages=[["local-lvm", "lvmthin", 90 << 30], ["slow", "dir", 10 << 30]],
        bridges=[["vmbr0", "10.0.0.1/24"]],
        read_at=timezone.now(),
    )
    return host


def guest_of(host: Server, name: str, address: str, **more: Any) -> Server:
    """A guest in the inventory."""
    return Server.objects.create(
        name=name, keymanager_name=name, is_vm=True, vm_host=host, internal_ip=address, **more
    )


def with_nginx(host: Server) -> Server:
    """Give the host an nginx server."""
    host.nginx_server = guest_of(host, "proxy.example.org", "10.0.0.2")
    host.save()
    return host.nginx_server


def with_backup_server(name: str = "backup1.example.org") -> Server:
    """A backup server whose root is a member of the group Gestion, as after the first run."""
    there = Server.objects.create(name=name, keymanager_name=name, ssh_connection=f"root@{name}")
    there.tags.add(Tag.objects.get_or_create(name="backup")[0])
    root = UnixUser.objects.create(server=there, name="root")
    add_keys(SYSTEM, root, public_key("root@backup1"))
    group = Group.objects.filter(name="Gestion").first() or create_group(SYSTEM, name="Gestion")
    add_to_group(SYSTEM, group, "member_servers", [there])
    return there


def pin(server: Server) -> None:
    """Accept a host key."""
    HostKey.objects.create(
        server=server, key=f"ssh-ed25519 {server.pk}", fingerprint="x", pinned_at=timezone.now()
    )


def computed(actor: Actor, until: int = 4, **typed: Any) -> dict[str, Any]:
    """All that the first steps compute and take; `typed` goes before. Fails for the first step with an error."""
    data: dict[str, Any] = {}
    for number in range(until):
        form = step(actor, number, data, **typed)
        assert form.is_valid(), (number, form.errors)
        data |= plain(form)
    return data


def step(actor: Actor, number: int, data: dict[str, Any], **typed: Any) -> Form:
    """A step's form, filled in by what it computes itself, but for what is typed."""
    here = create_vm.steps[number]
    initial = here.defaults(actor, data) if here.defaults else {}
    blank = here.make_form(actor, data, None, initial)
    sent = {name: typed.get(name, initial.get(name, field.initial)) for name, field in blank.fields.items()}
    return here.make_form(actor, data, {name: _sent(value) for name, value in sent.items() if value}, initial)


def _sent(value: Any) -> Any:
    words = isinstance(value, list) and value and isinstance(value[0], str)
    return ", ".join(value) if words else value


def plain(form: Form) -> dict[str, Any]:
    """What a form took, as the engine keeps it: rows are their numbers."""
    return {name: _plain(value) for name, value in form.cleaned_data.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Model):
        return value.pk
    return [row.pk for row in value] if isinstance(value, QuerySet) else value
