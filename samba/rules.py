"""The rules between a share's fields, and with other shares; each problem by the field where it can be mended."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from samba.models import Share
from samba.names import LONGEST_NAME, LONGEST_USER, is_user, overlap
from servers.validators import is_smb_value

Problem = tuple[str, str]


def user_name(name: str) -> str:
    """The unix user of a share of this name."""
    return f"{settings.SAMBA_USER_PREFIX}{name}"


def problems(share: Share) -> dict[str, list[Any]]:
    """Every broken rule, by field; call it in the transaction that saves, with the server locked."""
    found: dict[str, list[Any]] = {}
    for check in (_server_rules, _user_rules, _neighbour_rules):
        for field, text in check(share):
            found.setdefault(field, []).append(text)
    return found


def _server_rules(share: Share) -> Iterator[Problem]:
    server = share.server
    if not server.samba_management:
        yield "server", _("Samba is not managed on %s. Tick “manage Samba” there first.") % server
    elif not is_smb_value(server.samba_base_folder):
        yield (
            "server",
            _(
                "Samba could not read the base folder of %s: it has % or \\ in it, two spaces together, or a space or "
                "quotation mark at its end."
            ).replace("%s", str(server), 1),
        )


def longest_name() -> int:
    """How many characters a share's name may have: its unix user has the prefix before it (SAMBA_USER_PREFIX)."""
    return min(LONGEST_NAME, LONGEST_USER - len(settings.SAMBA_USER_PREFIX))


def _user_rules(share: Share) -> Iterator[Problem]:
    if not is_user(share.user):
        yield (
            "name",
            _("The unix user would be %(user)s, which is too long: at most %(most)d characters.")
            % {"user": share.user, "most": longest_name()},
        )
    elif share.server.unix_users.filter(name=share.user).exists():
        yield "name", _("%s is a unix user of this server that the keymanager fills.") % share.user


def _neighbour_rules(share: Share) -> Iterator[Problem]:
    for other in Share.objects.filter(server=share.server_id).exclude(pk=share.pk):
        if other.name == share.name:
            yield "name", _("There is a share of this name on %s.") % share.server
        elif other.user == share.user:
            yield (
                "name",
                _("The share %(other)s has the user %(user)s.") % {"other": other.name, "user": other.user},
            )
        if other.folder == share.folder:
            yield "folder", _("This is the folder of the share %s.") % other.name
        elif overlap(other.folder, share.folder):
            yield (
                "folder",
                _("The folder of the share %(other)s is %(folder)s: one would lie inside the other.")
                % {"other": other.name, "folder": other.folder},
            )
