"""The rules between a server's fields. Each problem is told by the field where a person can mend it."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from servers.models import Server
from servers.validators import host_name_of, normal_connection, normal_folder, normal_name

Problem = tuple[str, Any]
PROXMOX_FIELDS = ("proxmox_node", "external_interface", "external_hostname_for_vms", "nginx_server")


def fill_in(server: Server) -> set[str]:
    """Bring what was typed into its one form, and compute what was left empty; gives the fields that its name made."""
    server.name = normal_name(server.name)
    server.external_hostname_for_vms = normal_name(server.external_hostname_for_vms)
    server.samba_base_folder = normal_folder(server.samba_base_folder)
    server.external_ip = server.external_ip or None
    server.internal_ip = server.internal_ip or None
    server.ssh_connection = normal_connection(server.ssh_connection)
    server.backup_ssh_connection = normal_connection(server.backup_ssh_connection)
    by_name = {"keymanager_name": server.name}
    if server.is_proxmox:
        by_name["proxmox_node"] = host_name_of(server.name.partition(".")[0])
        server.external_interface = server.external_interface or "vmbr0"
    computed = {field for field in by_name if not getattr(server, field)}
    for field in computed:
        setattr(server, field, by_name[field])
    return computed


def problems(server: Server) -> dict[str, list[Any]]:
    """Every broken rule, by field; reads other servers, so call it in the transaction that saves."""
    found: dict[str, list[Any]] = {}
    for check in (_host_rules, _guest_rules, _proxmox_rules, _nginx_rules, _ip_rules, _samba_rules):
        for field, text in check(server):
            found.setdefault(field, []).append(text)
    return found


def _host_rules(server: Server) -> Iterator[Problem]:
    host = server.vm_host
    if server.is_vm and host is None:
        yield "vm_host", _("A VM or container needs a host.")
    if not server.is_vm and host is not None:
        yield (
            "vm_host",
            _("Only a VM or container has a host: tick that, or leave this empty."),
        )
    if host is None or not server.is_vm:
        return
    if server.pk is not None and server.pk in {above.pk for above in chain_of(host)}:
        yield "vm_host", _("A server cannot run on itself, or on a host that runs on it.")
    elif host.is_vm and not host.is_proxmox:
        yield (
            "vm_host",
            _("%(host)s is itself a VM and no Proxmox host, so nothing runs on it.") % {"host": host},
        )


def chain_of(server: Server) -> list[Server]:
    """The server, its host, the host of that …, without going round in circles."""
    chain: list[Server] = []
    above: Server | None = server
    while above is not None and above not in chain:
        chain.append(above)
        above = above.vm_host
    return chain


def _guest_rules(server: Server) -> Iterator[Problem]:
    if server.pk is None or server.is_proxmox:
        return
    count = server.guests.count()
    was_proxmox = Server.objects.filter(pk=server.pk, is_proxmox=True).exists()
    if count and was_proxmox:
        yield (
            "is_proxmox",
            _("It has guests (%(count)s); move or delete them first.") % {"count": count},
        )
    elif count and server.is_vm:
        yield (
            "is_vm",
            _("It has guests (%(count)s); a VM has none unless it is a Proxmox host.") % {"count": count},
        )


def _proxmox_rules(server: Server) -> Iterator[Problem]:
    if server.is_proxmox:
        return
    for field in PROXMOX_FIELDS:
        value = server.nginx_server_id if field == "nginx_server" else getattr(server, field)
        if value:
            yield field, only_proxmox()


def only_proxmox() -> str:
    """What is wrong with such a setting of another server."""
    return _("Only a Proxmox host has this. Tick “is a Proxmox host”, or leave this empty.")


def _nginx_rules(server: Server) -> Iterator[Problem]:
    nginx = server.nginx_server
    if nginx is not None and server.is_proxmox and (server.pk is None or nginx.vm_host_id != server.pk):
        yield "nginx_server", _("%(nginx)s is not a guest of this host.") % {"nginx": nginx}
    if server.pk is None:
        return
    for host in server.nginx_for.exclude(pk=server.vm_host_id or 0):
        yield (
            "vm_host",
            _("It is the nginx server of %(host)s; choose another one there first.") % {"host": host},
        )


def _ip_rules(server: Server) -> Iterator[Problem]:
    if server.internal_ip:
        yield from _internal_ip_rules(server, server.internal_ip)
    if server.external_ip:
        root = chain_of(server)[-1].pk
        for other in Server.objects.filter(external_ip=server.external_ip).exclude(pk=server.pk):
            if chain_of(other)[-1].pk != root:
                yield (
                    "external_ip",
                    _("%(other)s has this address and is not on the same host.") % {"other": other},
                )
                break


def _internal_ip_rules(server: Server, ip: str) -> Iterator[Problem]:
    host = server.vm_host
    version = ip_address(ip).version
    if host is not None:
        twin = host.guests.filter(internal_ip=ip).exclude(pk=server.pk).first()
        if twin is not None:
            yield (
                "internal_ip",
                _("%(twin)s on the same host has this internal IP.") % {"twin": twin},
            )
        if host.internal_ip == ip:
            yield "internal_ip", _("This is the internal IP of the host itself.")
        elif host.internal_ip and ip_address(host.internal_ip).version != version:
            yield (
                "internal_ip",
                _("The host's internal network has another IP version (%(ip)s).") % {"ip": host.internal_ip},
            )
    if server.pk is not None:
        guests = server.guests.filter(Q(internal_ip__isnull=False))
        for name, guest_ip in guests.values_list("name", "internal_ip"):
            if guest_ip == ip:
                yield "internal_ip", _("The guest %(guest)s has this internal IP.") % {"guest": name}
            elif guest_ip and ip_address(guest_ip).version != version:
                yield (
                    "internal_ip",
                    _("The guest %(guest)s has an internal IP of another version (%(ip)s).")
                    % {"guest": name, "ip": guest_ip},
                )
                break


def _samba_rules(server: Server) -> Iterator[Problem]:
    if server.samba_management and not server.samba_base_folder:
        yield "samba_base_folder", _("Samba needs a base folder for its shares.")
    if server.samba_base_folder and not server.samba_management:
        yield "samba_base_folder", _("Tick “manage Samba”, or leave this empty.")
