"""What lies in a server's base folder: read from the host, and what of it can be taken over as a share."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from hosts.host import Host
from jobs.models import Job
from jobs.services import start_job
from samba.desired_shares import list_command
from samba.models import FolderLook, FolderReturn, Share
from samba.names import LONGEST_NAME, NOT_IN_NAMES, is_share_name, same_name, validate_share_folder
from servers.folders import overlap
from servers.models import Server
from servers.registry import in_folder, sentence

WORK = "samba.look_into_base_folder"
MOST = 5000  # entries that are kept
FIELDS = 10


@dataclass(frozen=True)
class Entry:
    """One name in the base folder. `readable`: the name is UTF-8; else it is shown with its bytes as \\xNN.

    `things` lie in it, of which `stays` would stay whose they are; `part`: there are more, not counted. `whose` is as
    "carol 12, root 3".
    """

    name: str
    readable: bool
    kind: str
    owner: str
    mode: str
    mounted: bool
    things: int
    stays: int
    part: bool
    whose: str
    lives: str = ""


@dataclass(frozen=True)
class Offer:
    """An entry, with why it cannot be taken over ("" where it can) and the share that has it already, if any."""

    entry: Entry
    why_not: str
    share: Share | None = None


def start_look(actor: Actor, server: Server) -> Job:
    """Start a job that looks into the server's base folder."""
    title = _("Look what lies in %(folder)s on %(server)s") % {
        "folder": server.samba_base_folder,
        "server": server,
    }
    return start_job(actor, WORK, title, {"server": server.pk}, subject=server, once=True)


def look_into(server: Server, host: Host) -> FolderLook:
    """Look, and keep what was found. Raises HostError, with the host's words where the folder is not there."""
    base = server.samba_base_folder
    said = host.run(list_command(base), timeout=600).check().out
    first, *fields = said.split(b"\0")
    entries = [_entry(fields[at : at + FIELDS]) for at in range(0, len(fields) - FIELDS + 1, FIELDS)]
    now = {"base": base, "looked_at": timezone.now(), "safe": first == b"safe", "names": len(entries)}
    kept = [asdict(entry) for entry in entries[:MOST]]
    return FolderLook.objects.update_or_create(server=server, defaults={**now, "entries": kept})[0]


def _entry(fields: list[bytes]) -> Entry:
    name, (kind, owner, mode, mounted, things, stays, part, whose, lives) = (
        fields[0],
        [field.decode(errors="replace") for field in fields[1:]],
    )
    shown = name.decode(errors="backslashreplace")
    return Entry(
        name=shown, readable=shown.encode() == name, kind=kind, owner=owner, mode=mode, mounted=bool(mounted),
        things=int(things), stays=int(stays), part=bool(part), whose=whose, lives=lives,
    )  # fmt: skip


def offers(look: FolderLook) -> Iterator[Offer]:
    """Each entry of the look, by name, against the shares that there are now."""
    shares = list(Share.objects.filter(server=look.server).select_related("server"))
    going = list(FolderReturn.objects.filter(server=look.server))
    for fields in look.entries:
        entry = Entry(**fields)
        share = next((share for share in shares if overlap(share.folder, entry.name)), None)
        why_not = _share_trouble(entry, share) or _trouble(entry)
        if any(overlap(row.folder, entry.name) for row in going):
            why_not = _("It is being given back to whom it belonged.")
        if not why_not and (held := in_folder(look.server, f"{look.base}/{entry.name}", but="samba")):
            why_not = sentence(held)
        if not look.safe and not why_not:
            why_not = _("Others than root may write in %s.") % look.base
        yield Offer(entry, why_not, share)


def _share_trouble(entry: Entry, share: Share | None) -> str:
    if share is None:
        return ""
    if share.folder == entry.name:
        return _("It is the folder of the share %s.") % share.name
    return _("The share %(share)s lies in it: %(folder)s.") % {"share": share.name, "folder": share.folder}


def _trouble(entry: Entry) -> str:
    if entry.kind == "link":
        return _("It is a symbolic link.")
    if entry.kind != "folder":
        return _("It is no folder.")
    if not entry.readable:
        return _("Its name is not UTF-8. Rename it on the server.")
    if entry.lives:
        return _("The unix user %s lives in it, and SSH would let that user in no more.") % entry.lives
    try:
        validate_share_folder(entry.name)
    except ValidationError as error:
        why: str = error.messages[0]
        return why if entry.name == "lost+found" else _("%s Rename it on the server.") % why
    return ""


def found_in(look: FolderLook | None, folder: str) -> Entry | None:
    """What the look has found under this name."""
    entries = look.entries if look else []
    return next((Entry(**fields) for fields in entries if fields["name"] == folder), None)


def free_name(server: Server, folder: str) -> str:
    """A name for a share of this folder: the folder's own as far as clients take it; empty where none is free."""
    name = unicodedata.normalize("NFC", folder.rpartition("/")[2])
    name = re.sub("[" + re.escape(NOT_IN_NAMES) + "]", "-", name)
    name = " ".join(name.split()).rstrip(". ")[: LONGEST_NAME // 2 if len(name) > LONGEST_NAME else None]
    taken = {same_name(share.name) for share in Share.objects.filter(server=server)}
    return name if is_share_name(name) and same_name(name) not in taken else ""
