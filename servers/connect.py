"""Reach a server of the inventory: where, with which pinned host keys, through which gateway, as whom."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from hosts.address import Address, BadConnection, parse_connection
from hosts.errors import HostError, HostKeyChanged, gettext_noop
from hosts.host import Host
from hosts.target import Target
from servers.identity import panel_identity
from servers.models import Contact, Server
from servers.rules import chain_of
from servers.transport import transport


class NoConnection(HostError):  # noqa: N818 - named like the other errors of hosts
    """The inventory does not say how to reach the server."""

    sentence = gettext_noop(
        "Gestion does not know how to reach %(host)s. Fill in its SSH connection, or its internal IP and a "
        "host that has a connection."
    )


class UnreadableConnection(NoConnection):
    """The connection string that is stored, perhaps by an earlier version, is none that can be used."""

    sentence = gettext_noop(
        "The SSH connection of %(host)s cannot be used. %(words)s Correct it on its page."
    )


class GatewayBlocked(HostError):  # noqa: N818 - named like the other errors of hosts
    """The host that leads to the server has no accepted host key."""

    sentence = gettext_noop(
        "%(host)s is reached through %(gateway)s, whose host key is not accepted. Accept that one first."
    )


def target_of(server: Server) -> Target:
    """Where and how to connect.

    Raises NoConnection, GatewayBlocked, or HostKeyChanged while a changed key waits for an admin's word.
    """
    return _target(server, trust_changed=False)


def target_to_check(server: Server) -> Target:
    """Like target_of, also while a changed key waits: the check looks whether it is still shown."""
    return _target(server, trust_changed=True)


def _target(server: Server, *, trust_changed: bool) -> Target:
    if not trust_changed:
        _refuse_changed(server)
    pinned = server.host_keys.filter(pinned_at__isnull=False)
    address, gateway = way_to(server)
    return Target(
        address=address,
        known_keys=tuple(pinned.order_by("pk").values_list("key", flat=True)),
        private_key=panel_identity().private_key,
        gateway=_gateway_target(server, gateway) if gateway else None,
    )


def _gateway_target(server: Server, gateway: Server) -> Target:
    try:
        target = target_of(gateway)
    except HostKeyChanged as error:
        raise GatewayBlocked(server.name, gateway=gateway.name) from error
    if not target.known_keys:  # else its key would be taken for the guest's
        raise GatewayBlocked(server.name, gateway=gateway.name)
    return target


def way_to(server: Server) -> tuple[Address, Server | None]:
    """The server's address, and the host to jump through if it has none of its own; raises NoConnection."""
    if server.ssh_connection:
        try:
            return parse_connection(server.ssh_connection), None
        except BadConnection as error:
            raise UnreadableConnection(server.name, str(error)) from error
    host = server.vm_host
    if server.internal_ip and host is not None and reachable_by(host):
        return Address(server.internal_ip), host
    raise NoConnection(server.name)


def reachable_by(server: Server) -> bool:
    """Whether the inventory says how to reach it: by itself, or by internal IPs up to one that does."""
    for link in chain_of(server):
        if link.ssh_connection:
            return True
        if not link.internal_ip:
            return False
    return False


def _refuse_changed(server: Server) -> None:
    # Asked anew: whoever holds this object may have read it before the last check.
    if not Server.objects.filter(pk=server.pk, contact=Contact.CHANGED).exists():
        return
    keys = list(server.host_keys.all())
    pinned = next((key for key in keys if key.pinned_at), None)
    offered = next((key for key in keys if not key.pinned_at), None)
    if pinned and offered:
        raise HostKeyChanged(
            server.name, expected=pinned.fingerprint, found=offered.fingerprint, key=offered.key
        )


@contextmanager
def connect(server: Server) -> Iterator[Host]:
    """A connection to the server from this process's pool; raises what target_of and connecting raise."""
    with transport().connect(target_of(server), server.name) as host:
        yield host


@contextmanager
def reconnecting(server: Server) -> Iterator[Callable[[], Host]]:
    """Makes connections of their own, to prove that one can still get in; closes them at the end."""
    target = target_of(server)
    with ExitStack() as made:

        def again() -> Host:
            host = transport().fresh(target, server.name)
            made.callback(host.close)
            return host

        yield again


def suggested_connection(
    *, host: Server | None, internal_ip: str, external_ip: str, name: str, panel_host: str
) -> str:
    """The connection string that the seed would use; empty where it cannot be known.

    A guest on the panel's own Proxmox host (`panel_host`, GESTION_VM_NAME): its internal IP. A guest
    elsewhere: its own external IP if it has one, else its host's outside name with the port that will be
    forwarded to it, which only a person knows. Anything else: its external IP, or its name.
    """
    if host is None:
        return Address(external_ip or name).text if external_ip or name else ""
    if internal_ip and panel_host and host.name == panel_host.lower():
        return Address(internal_ip).text
    if external_ip and external_ip != host.external_ip:
        return Address(external_ip).text
    outside = host.external_hostname_for_vms or host.external_ip or host.name
    return f"-p <port> root@{outside}"
