"""A unix user's home folder goes with it, and with it all that others have put there: asked before it is deleted."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.utils.translation import gettext as _

from backups.models import Backup, LeftData
from hosts.host import Host
from samba.models import Share
from servers.folders import inside
from servers.registry import Held
from wizards.declare import Refused

Account = tuple[str, str, str]  # name, number, home folder

TRIES = 5  # to end what runs as a unix user: new processes come while old ones go
IN_USE = 8  # userdel(8): processes run as the user
# What userdel(8) means by that. A container's users may have the same number, but its processes have another root.
KILL = 'for each in $(pgrep -u "$1"); do [ ! "/proc/$each/root" -ef / ] || kill -KILL "$each"; done'


def home_of(host: Host, name: str) -> str:
    """The home folder of a unix user as the host has it; empty where it has no such user."""
    return next((home for other, _uid, home in _accounts(host, name) if other == name), "")


def mark_of(host: Host, number: str, home: str) -> str:
    """What a unix user and its home folder keep under other names, and no later ones get; empty if it is not known."""
    said = host.run(["stat", "-L", "-c", "%i %W", "--", home])  # %W: when it was made
    known = said.code == 0 and said.text.split()[1:] not in ([], ["0"], ["-"])
    return f"{number} {said.text.strip()}" if known else ""


def mark_of_user(host: Host, name: str) -> str:
    """The mark of a unix user by its name."""
    found = (mark_of(host, uid, home) for other, uid, home in _accounts(host, name) if other == name)
    return next(found, "")


def lies_there(host: Host, name: str) -> bool:
    """Whether something lies where a new unix user gets its home folder: useradd(8) takes it for that, as it is."""
    said = host.run(["useradd", "-D"]).check().text
    base = next((line[5:] for line in said.splitlines() if line.startswith("HOME=")), "/home")
    return host.run(["test", "-e", f"{base}/{name}"]).code == 0


def held_in(server: int, home: str) -> Iterator[Held]:
    """What other rooms have in this folder of a server (copies, shares), and backups of what lies in it."""
    backups = Backup.objects.select_related("source")
    left = LeftData.objects.filter(destination=server).select_related("destination")
    shares = Share.objects.filter(server=server).select_related("server")
    kinds: tuple[tuple[Iterable[Any], str, str], ...] = (
        (
            backups.filter(source=server),
            "source_folder",
            _("the backup %s copies what lies in its home folder"),
        ),
        (
            backups.filter(destination=server),
            "destination_folder",
            _("the copies of the backup %s are in its home folder"),
        ),
        (left, "folder", _("copies of a deleted backup are left in %s")),
        (shares, "path", _("the folder of the share %s is in its home folder")),
    )
    for rows, folder, words in kinds:
        for row in rows:
            if inside(getattr(row, folder), home):
                yield Held(words % row, row.get_absolute_url(), row=row)


def check_alone(host: Host, name: str, home: str, *, mark: str = "", stays: bool = False) -> None:
    """Raise Refused where more than this unix user would go with its home folder, as the host has it now.

    That is another folder than `home`, which it was made with, other users in it, or what is mounted in it: userdel(8)
    asks none of that, and deletes what is mounted, too. Where the folder `stays`, it is another user's processes alone.
    A user who has another name by now would not go at all; its home may have been moved, and has its `mark` still.
    """
    accounts = _accounts(host)
    own = next((one for one in accounts if one[0] == name), None)
    if own is None:
        _check_renamed(host, accounts, name, home, mark)
        return
    _name, number, now = own
    words = {"name": name, "home": home, "now": now}
    if now != home and not stays:
        text = _(
            "%(name)s was made with the home folder %(home)s and has %(now)s by now, which would be deleted. "
            "Give it back its own with usermod, or remove %(name)s yourself."
        )
        raise Refused(text % words)
    alike = [one for one, uid, _folder in accounts if uid == number and one != name]
    within = [one for one, _uid, folder in accounts if inside(folder, home) and one != name and not stays]
    others = list(dict.fromkeys([*alike, *within]))
    if others:
        text = _("%(others)s live in %(home)s, too, or have the number of %(name)s. Change that first.")
        raise Refused(text % {**words, "others": ", ".join(others)})
    mounted = [] if stays else _mounted_in(host, home)
    if mounted:
        text = _("What is mounted at %(mounted)s would be deleted with %(home)s. Unmount it first.")
        raise Refused(text % {**words, "mounted": ", ".join(mounted)})


def _check_renamed(host: Host, accounts: list[Account], name: str, home: str, mark: str) -> None:
    """Raise Refused where one that is not there goes on under another name, with the keys in its home, moved or not."""
    found = [one for one, _uid, folder in accounts if inside(folder, home)]
    at = home
    for one, uid, folder in () if found else accounts:
        if mark.startswith(f"{uid} ") and mark_of(host, uid, folder) == mark:
            found, at = [one], folder
    if found:
        text = _(
            "There is no unix user %(name)s any more, and %(others)s live in its home folder %(home)s: it was renamed, "
            "it seems, and would stay, with its keys. Call it %(name)s again with usermod, or remove it yourself."
        )
        raise Refused(text % {"name": name, "home": at, "others": ", ".join(found)})


def remove(host: Host, name: str, *, stays: bool = False) -> None:
    """Remove a unix user and what runs as it, and its home folder unless that `stays`.

    Raises CommandFailed with the words of userdel(8): processes that do not end, a home folder of somebody else's.
    """
    argv = ["userdel", *([] if stays else ["--remove"]), "--", name]
    for _try in range(TRIES):
        host.run(["sh", "-c", KILL, "sh", name])
        done = host.run(argv)
        if done.code != IN_USE:
            break
    done.check()


def _accounts(host: Host, *names: str) -> list[Account]:
    """Name, number and home folder of unix users of a host, all without `names`. See passwd(5)."""
    said = host.run(["getent", "passwd", *names]).text
    fields = [line.split(":") for line in said.splitlines()]
    return [(one[0], one[2], one[5].rstrip("/") or "/") for one in fields if len(one) == 7]


def _mounted_in(host: Host, home: str) -> list[str]:
    """The folders in this one at which something is mounted. See proc_pid_mounts(5)."""
    real = host.run(["readlink", "-f", "--", home]).text.rstrip("\n") or home  # /home may be a link
    said = host.run(["cat", "/proc/self/mounts"]).check().text
    return [at for line in said.splitlines() if inside(at := _plain(line.split()[1]), real)]


def _plain(field: str) -> str:
    """A field of /proc/self/mounts without its octal escapes, as of a space."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
