"""Where web hooks may lead: never into this machine or networks of our own, unless WEBHOOK_NETWORKS allows it.

Other rooms that ask an address which somebody typed have a setting of their own, which they name.

A URL that somebody typed would else make the panel ask what only the panel can reach: services on loopback, a cloud's
metadata, the hosts behind it (OWASP, Server-Side Request Forgery Prevention Cheat Sheet).
"""

import ipaddress
import socket
import time
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

Place = tuple[socket.AddressFamily, Any]
Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
WEBHOOKS = "WEBHOOK_NETWORKS"
CONNECT_SECONDS = 5.0
MOST_ADDRESSES = 8  # of one name that are tried
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the IPv4 address in its end is where it leads
# Local NAT64 (RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380) and older ways to wrap an IPv4 address.
_WRAPPED = tuple(
    ipaddress.IPv6Network(text)
    for text in ("64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96", "::ffff:0:0:0/96")
)


class NotAllowed(OSError):  # noqa: N818  # a refusal; its text is a sentence
    """The target lies in a network that must not be reached."""


def check_target(host: str, setting: str = WEBHOOKS) -> None:
    """Raise NotAllowed if the host is, or leads to, a network that is not allowed. A name that nobody knows passes."""
    try:
        found = _addresses(host, 0)
    except OSError:
        return
    _allowed(host, found, setting)


def connect(host: str, port: int, seconds: float | None, setting: str = WEBHOOKS) -> socket.socket:
    """Resolve once, and connect to one of these very addresses. Raises NotAllowed, OSError.

    All of them must be allowed: a name that leads to one of ours as well is not half good.
    """
    end = time.monotonic() + (seconds or CONNECT_SECONDS)
    found = _allowed(host, _addresses(host, port), setting)
    trouble = OSError("no address")
    for family, place in found[:MOST_ADDRESSES]:
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.settimeout(max(end - time.monotonic(), 0.1))
        try:
            opened.connect(place)
            _not_ourselves(host, opened, setting)
        except OSError as error:
            opened.close()
            trouble = error
            if isinstance(error, NotAllowed):
                break
        else:
            return opened
    raise trouble


def _not_ourselves(host: str, opened: socket.socket, setting: str) -> None:
    """A public address of this machine leads into it just as loopback does."""
    ours, theirs = opened.getsockname()[0], opened.getpeername()[0]
    if ours == theirs and not any(ipaddress.ip_address(theirs) in network for network in networks(setting)):
        raise _refusal(host, theirs, setting)


def _addresses(host: str, port: int) -> list[Place]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError(str(error)) from error
    return [(entry[0], entry[4]) for entry in found]


def _allowed(host: str, found: list[Place], setting: str) -> list[Place]:
    for _family, place in found:
        address = ipaddress.ip_address(str(place[0]).partition("%")[0])
        if not may_reach(address, setting):
            raise _refusal(host, address, setting)
    return found


def _refusal(host: str, address: object, setting: str) -> NotAllowed:
    if host.strip("[]") == str(address):
        words = _("%(address)s lies in a network that is not asked from here. See %(setting)s.")
        return NotAllowed(words % {"address": address, "setting": setting})
    return NotAllowed(
        _("%(host)s is %(address)s, in a network that is not asked from here. See %(setting)s.")
        % {"host": host, "address": address, "setting": setting}
    )


def may_reach(address: Ip, setting: str = WEBHOOKS) -> bool:
    """Whether a typed address may lead there: to public unicast addresses, and to the networks of the setting."""
    if any(address in network for network in networks(setting)):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return may_reach(inner, setting)
        if any(address in wrapped for wrapped in _WRAPPED) or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def networks(setting: str = WEBHOOKS) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Those of the setting; one that cannot be read allows nothing (`manage.py check` says so)."""
    found = []
    for text in getattr(settings, setting):
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError:
            continue
    return found
