"""How the panel's processes reach hosts: by SSH, unless SERVERS_TRANSPORT names another such class."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from hosts.address import Address
from hosts.host import Host
from hosts.target import HostKey, Target


class Transport(Protocol):
    """Reaches hosts; one object a process, used by several threads."""

    def connect(self, target: Target, name: str) -> AbstractContextManager[Host]:
        """A connection, warm if there is one; ended or kept by leaving the context. Raises HostError."""
        ...

    def fresh(self, target: Target, name: str) -> Host:
        """A connection of its own, to prove that one can still get in; the caller closes it."""
        ...

    def host_key(self, address: Address, gateway: Target | None) -> HostKey:
        """The key that the host shows; nothing is sent to it. Raises HostError."""
        ...


class SSHTransport:
    """By SSH, with the connections of this process kept warm."""

    def __init__(self) -> None:
        from hosts.pool import Pool  # and paramiko with it: only in processes that connect

        self.pool = Pool()

    def connect(self, target: Target, name: str) -> AbstractContextManager[Host]:
        """See Transport.connect."""
        return self.pool.connect(target, name)

    def fresh(self, target: Target, name: str) -> Host:
        """See Transport.fresh."""
        from hosts.ssh import SSHHost

        return SSHHost(target, name)

    def host_key(self, address: Address, gateway: Target | None) -> HostKey:
        """See Transport.host_key."""
        from hosts.ssh import read_host_key

        return read_host_key(address, gateway)


def transport() -> Transport:
    """This process's transport."""
    return _made(settings.SERVERS_TRANSPORT)


@cache
def _made(path: str) -> Transport:
    made: Transport = import_string(path)()
    return made
