"""What the pages of shares have in common."""

import shlex
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.permissions import user_of
from samba.models import Share
from samba.services.shares import facts_of


def visible_share(request: HttpRequest, pk: int) -> Share:
    """The share, if the user may see it; else Http404."""
    rows = Share.objects.visible_to(user_of(request)).select_related("server", "server__vm_host")
    return get_object_or_404(rows, pk=pk)


def share_json(share: Share) -> dict[str, Any]:
    """A share for programs, without its password."""
    return {
        "id": share.pk,
        **facts_of(share),
        "path": share.path,
        "can_give_back": share.given_things,
        "version": share.version,
    }


@dataclass(frozen=True)
class Ways:
    """How clients connect to a share."""

    windows: str
    url: str
    mount: str


def ways_to(share: Share) -> Ways:
    """By the server's name, if that can be one of the DNS, else by its address."""
    server = share.server
    address = server.external_ip or server.internal_ip or server.name
    if "." in server.name:
        address = server.name
    elif ":" in address:  # IPv6: Windows has no other way to write it, and the others read it
        address = f"{address.replace(':', '-')}.ipv6-literal.net"
    return Ways(
        windows=rf"\\{address}\{share.name}",
        url=f"smb://{address}/{quote(share.name)}",
        mount=f"mount -t cifs {shlex.quote(f'//{address}/{share.name}')} /mnt -o username={share.user}",
    )
