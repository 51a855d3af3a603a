"""What an nginx server should hold while an authority looks: a file for each challenge."""

import re

from django.utils.translation import gettext as _

from forwarding.models import AcmeChallenge
from forwarding.nginx_sites import ACME_ROOT
from hosts.state import File, State
from servers.models import Server

KIND = "acme"
FOLDER = f"{ACME_ROOT}/.well-known/acme-challenge"
# RFC 8555, 8.1 and 8.3: base64url, and for the content a point and the account's thumbprint.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}", re.ASCII)
_CONTENT = re.compile(r"[A-Za-z0-9_-]{16,128}\.[A-Za-z0-9_-]{16,128}", re.ASCII)


def challenge_file(token: str, content: str) -> File:
    """The file of one challenge; ValueError for what no authority may ask for."""
    if not (_TOKEN.fullmatch(token) and _CONTENT.fullmatch(content)):
        raise ValueError(f"{token[:200]!r} is no challenge")
    return File(f"{FOLDER}/{token}", content.encode())


def desired(server: Server) -> State | None:
    """The files of the challenges that are open on this nginx server."""
    items, left_out = [], []
    for row in AcmeChallenge.objects.filter(nginx=server).order_by("token"):
        try:
            items.append(challenge_file(row.token, row.content))
        except ValueError as error:
            left_out.append(_("A challenge cannot be answered: %s.") % error)
    return State(kind=KIND, items=tuple(items), left_out=tuple(left_out)) if items or left_out else None
