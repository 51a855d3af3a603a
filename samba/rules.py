"""The rules between a share's fields, and with other shares; each problem by the field where it can be mended."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from samba.models import FolderReturn, Share
from samba.names import free_user, is_user, same_name
from servers.folders import overlap
from servers.models import Server
from servers.registry import in_folder
from servers.validators import is_smb_value

Problem = tuple[str, str]


def user_name(server: Server, name: str) -> str:
    """The unix user of a new share of this name on the server; call it with the server locked."""
    taken = {row.user for rows in (Share, FolderReturn) for row in rows.objects.filter(server=server)}
    return free_user(settings.SAMBA_USER_PREFIX, name, taken)


def problems(share: Share) -> dict[str, list[Any]]:
    """Every broken rule, by field; call it in the transaction that saves, with the server locked."""
    found: dict[str, list[Any]] = {}
    for check in (_server_rules, _user_rules, _neighbour_rules, _folder_rules):
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


def _user_rules(share: Share) -> Iterator[Problem]:
    if not is_user(share.user):
        yield "name", _("%s cannot be a unix user: SAMBA_USER_PREFIX is wrong.") % share.user
    elif share.server.unix_users.filter(name=share.user).exists():
        yield "name", _("%s is a unix user of this server that the keymanager fills.") % share.user


def _neighbour_rules(share: Share) -> Iterator[Problem]:
    for going in FolderReturn.objects.filter(server=share.server_id):
        if overlap(going.folder, share.folder):
            yield (
                "folder",
                _("The folder %s is being given back. Wait until that has been rolled out.") % going.folder,
            )
    for other in Share.objects.filter(server=share.server_id).exclude(pk=share.pk):
        if other.name == share.name:
            yield "name", _("There is a share of this name on %s.") % share.server
        elif same_name(other.name) == same_name(share.name):
            words = {"server": share.server, "other": other.name}
            yield (
                "name",
                _("There is a share %(other)s on %(server)s, which is the same name to clients.") % words,
            )
        if other.folder == share.folder:
            yield "folder", _("This is the folder of the share %s.") % other.name
        elif overlap(other.folder, share.folder):
            yield (
                "folder",
                _("The folder of the share %(other)s is %(folder)s: one would lie inside the other.")
                % {"other": other.name, "folder": other.folder},
            )


def _folder_rules(share: Share) -> Iterator[Problem]:
    """A folder that another room has is not given to a share's user: copies of a backup keep whose their files were."""
    taken = in_folder(share.server, share.path, but="samba") if not share.pk else []
    for held in taken:
        yield "folder", _("This folder is not free: %s.") % held.text
