"""What pages show of lines that somebody put into an authorized_keys2 by hand, and whose they might be."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import User
from keymanager.keysets import panel_line
from keymanager.look_models import FoundLine
from keymanager.models import Key
from servers.models import PanelIdentity, Server

MOST_SHOWN = 50


@dataclass(frozen=True)
class FoundRow:
    """A line as somebody may see it; `owners`: who in this panel has a key of this fingerprint."""

    line: FoundLine
    owners: list[str]

    def as_json(self) -> dict[str, Any]:
        """What a program gets."""
        return {
            "unix_user": self.line.unix_user,
            "type": self.line.type,
            "fingerprint": self.line.fingerprint,
            "options": self.line.has_options,
            "comment": self.line.comment,
            "owners": self.owners,
            "first_seen_at": self.line.first_seen_at,
            "seen_at": self.line.seen_at,
            "gone_at": self.line.gone_at,
            "times": self.line.times,
        }


def found_on(server: Server, reader: User, most: int = MOST_SHOWN) -> list[FoundRow]:
    """What was found on a server, what is there still first."""
    rows = server.found_lines.all()
    lines = [*rows.filter(gone_at=None)[:most], *rows.exclude(gone_at=None)[:most]][:most]
    owners = whose(lines, reader)
    return [FoundRow(line, owners.get(line.fingerprint, [])) for line in lines]


def whose(rows: Iterable[FoundLine], reader: User) -> dict[str, list[str]]:
    """Who in this panel has a key of these fingerprints, as far as this reader may see who has which key.

    Admins see everybody; others themselves, and the unix users of servers that they see.
    """
    prints = {row.fingerprint for row in rows if row.fingerprint}
    keys = Key.objects.filter(fingerprint__in=prints).select_related("person", "unix_user__server")
    servers = set(Server.objects.visible_to(reader).values_list("pk", flat=True)) if prints else set()
    found: dict[str, list[str]] = {}
    for key in keys:
        theirs = key.unix_user is not None and key.unix_user.server_id in servers
        if reader.is_admin or key.person_id == reader.pk or theirs:
            found.setdefault(key.fingerprint, []).append(str(key.owner))
    for line in map(panel_line, PanelIdentity.objects.values_list("public_key", flat=True) if prints else ()):
        if line.fingerprint in prints:
            found.setdefault(line.fingerprint, []).append(_("Gestion itself"))
    return found
