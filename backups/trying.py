"""Where the way of a backup breaks: at the backup server, in its files, at the source's door, or in the folder."""

import re
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups.models import Backup
from backups.paths import SOURCE, Paths
from hosts.host import Host, Result

STEPS = {
    "tools": gettext_lazy("The backup server has rsnapshot, rsync and ssh"),
    "files": gettext_lazy("Its configuration is there"),
    "place": gettext_lazy("There is room for the copies"),
    "login": gettext_lazy("The source lets it in"),
    "folder": gettext_lazy("The source has rsync and the folder"),
}
LOGIN_SECONDS = 45
# Constant scripts; what people typed comes as arguments, or, through ssh, on standard input.
TOOLS = 'for tool in rsnapshot rsync ssh; do command -v "$tool" >/dev/null || printf "%s\\n" "$tool"; done'
FILES = 'for file do [ -f "$file" ] || exit 1; done'
PLACE = """
folder=$1
while [ ! -e "$folder" ] && [ "$folder" != / ]; do folder=$(dirname -- "$folder"); done
[ -d "$folder" ] || { printf 'no folder: %s\\n' "$folder"; exit 1; }
df -B1 --output=avail,target -- "$folder" | tail -n 1
"""
FOLDER = """
IFS= read -r folder
command -v rsync >/dev/null || exit 3
[ -d "$folder" ] || exit 4
[ -r "$folder" ] && [ -x "$folder" ] || exit 5
[ -n "$(ls -A -- "$folder" | head -c 1)" ] || exit 6
"""


@dataclass(frozen=True)
class Answer:
    """How one step of the way went; `ok` is None where it was not tried."""

    step: str
    ok: bool | None
    words: str


def tools(host: Host, backup: Backup) -> Answer:
    """Are the programs there?"""
    missing = host.run(["sh", "-c", TOOLS], timeout=20).check().text.split()
    if missing:
        words = {"server": backup.destination, "missing": " ".join(missing)}
        return Answer("tools", False, _("%(server)s lacks: %(missing)s. Install it there.") % words)
    return Answer("tools", True, _("They are there."))


def configuration(host: Host, backup: Backup) -> Answer:
    """Has the configuration been rolled out?"""
    paths = Paths(backup.uuid, backup.destination_folder)
    argv = ["sh", "-c", FILES, "sh", paths.config, paths.excludes, paths.ssh, paths.known_hosts]
    if host.run(argv, timeout=20).code:
        return Answer("files", False, _("It has not been rolled out to %s yet.") % backup.destination)
    return Answer("files", True, _("It is rolled out."))


def place(host: Host, backup: Backup) -> Answer:
    """Is there a file system to write to?"""
    said = host.run(["sh", "-c", PLACE, "sh", backup.destination_folder], timeout=20)
    words = said.text.split(None, 1)
    if said.code or len(words) < 2 or not re.fullmatch(r"[0-9]{1,18}", words[0]):
        return Answer(
            "place", False, _("No folder can be made there: %s") % (said.text or _error(said)).strip()
        )
    told = {"free": _size(int(words[0])), "where": words[1].strip()}
    return Answer("place", int(words[0]) > 0, _("%(free)s free on %(where)s.") % told)


def _size(number: int) -> str:
    from pages.templatetags.pages_tags import binary_size

    return str(binary_size(number))


def login(host: Host, backup: Backup) -> Answer:
    """Does the source let the backup server in, by the pinned host key?"""
    said = host.run(_ssh(backup, "true"), timeout=LOGIN_SECONDS + 15)
    if said.code == 0:
        return Answer("login", True, _("%s is let in.") % backup.destination)
    error = _error(said)
    words = {"there": backup.destination, "source": backup.source, "said": _last_line(error)}
    if "Host key verification failed" in error or "HOST IDENTIFICATION HAS CHANGED" in error:
        text = _("%(source)s shows %(there)s another host key than the accepted one: %(said)s")
    elif "Permission denied" in error:
        text = _("%(source)s does not know the SSH key of root on %(there)s, or there is none: %(said)s")
    else:
        text = _("%(there)s does not reach %(source)s: %(said)s")
    return Answer("login", False, text % words)


def folder(host: Host, backup: Backup) -> Answer:
    """Is rsync at the source, and the folder, with something in it?"""
    stdin = f"{backup.source_folder}\n".encode()
    said = host.run(_ssh(backup, FOLDER), stdin=stdin, timeout=LOGIN_SECONDS + 15)
    words = {"source": backup.source, "folder": backup.source_folder, "said": _last_line(_error(said))}
    texts = {
        0: _("%(folder)s is there, with something in it."),
        3: _("%(source)s has no rsync. Install it there."),
        4: _("%(source)s has no folder %(folder)s."),
        5: _("%(folder)s of %(source)s may not be read by this user."),
        6: _("%(folder)s of %(source)s is empty: is something not mounted?"),
    }
    return Answer("folder", said.code == 0, texts.get(said.code, "%(said)s") % words)


def _ssh(backup: Backup, command: str) -> list[str]:
    config = Paths(backup.uuid, backup.destination_folder).ssh
    return ["timeout", str(LOGIN_SECONDS), "ssh", "-F", config, SOURCE, command]


def _error(said: Result) -> str:
    return said.err.decode(errors="replace")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else _("no answer")


def verdict(answers: list[Answer]) -> str:
    """Where the way breaks, in one sentence."""
    broken = next((answer for answer in answers if answer.ok is False), None)
    if broken is not None:
        return broken.words
    return _("The way is free.")
