"""Where the way of a backup breaks: at the backup server, in its files, at the source's door, or in the folder.

From the copies' folder on, it is a run itself (`backup-run`, kind "try"), which ends once its first file has come over.
"""

import secrets
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from backups import runner
from backups.following import way_of
from backups.models import Backup
from backups.models.runs import Hold
from backups.paths import Paths
from backups.runner import Look
from hosts.host import Host
from jobs.run import Run
from servers.words import sentence

STEPS = {
    "tools": gettext_lazy("The backup server has rsnapshot, rsync and ssh"),
    "files": gettext_lazy("Its configuration is there"),
    "place": gettext_lazy("There is room for the copies"),
    "login": gettext_lazy("The source lets it in"),
    "folder": gettext_lazy("The folder is there"),
    "file": gettext_lazy("A file comes over, as in a run"),
}
OF_A_RUN = ("place", "login", "folder", "file")  # as the runner says which it has reached
STALL_SECONDS = 60  # without anything read
LONGEST_SECONDS = 90  # from the first byte
PAUSE = 0.5
NEEDED = ("rsnapshot", "rsync", "ssh")
# A constant script without arguments.
TOOLS = f'for tool in {" ".join(NEEDED)}; do command -v "$tool" >/dev/null || printf "%s\\n" "$tool"; done'
FILES = 'for file do [ -f "$file" ] || exit 1; done'


@dataclass(frozen=True)
class Answer:
    """How one step of the way went; `ok` is None where it was not tried."""

    step: str
    ok: bool | None
    words: str


def tools(host: Host, backup: Backup) -> Answer:
    """Are the programs there?"""
    said = host.run(["sh", "-c", TOOLS], timeout=20).check().text.splitlines()
    missing = [tool for tool in NEEDED if tool in said]  # a login may print lines of its own
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


def run_of(job: Run, host: Host, backup: Backup) -> list[Answer]:
    """Let a run of this backup go as far as its first file; raises HostError, and Stopped when it was ended."""
    name = f"try-{secrets.token_hex(8)}"
    work = {**way_of(backup), "kind": "try", "stall": STALL_SECONDS, "longest": LONGEST_SECONDS}
    try:
        runner.start(host, name, work)
        look = runner.look(host, name)
        while not look.ended and look.alive:
            job.wait(PAUSE)
            look = runner.look(host, name)
        if not look.ended:
            look = runner.look(host, name)
        job.output("out", look.output)
    except runner.NoRunner as error:
        return [Answer("files", False, sentence(error))]
    finally:
        runner.stop(host, name)
        runner.forget(host, name)
    return answers_of(backup, look)


def answers_of(backup: Backup, look: Look) -> list[Answer]:
    """What the run's facts say of each step up to the one that broke."""
    reached = look.lists.get("reached", ())
    found: list[Answer] = []
    for step in OF_A_RUN:
        if step not in reached:
            words = look.facts.get("words", "").strip() or _("It was ended before it had an answer.")
            code = look.facts.get("why", "")
            if look.facts.get("state") == "held" and code in Hold.values:
                words = _("A run would be held. %s") % words
            return [*found, Answer(step, False, words)]
        found.append(Answer(step, True, _went_well(step, backup, look)))
    return found


def _went_well(step: str, backup: Backup, look: Look) -> str:
    if step == "place":
        free = look.number("free_bytes")
        where = look.facts.get("destination_place", "").split(" ")[0]
        return _("%(free)s free on %(where)s.") % {"free": _size(free or 0), "where": where}
    if step == "login":
        return _("%s is let in.") % backup.destination
    if step == "folder":
        if look.facts.get("source_seen") == "no":
            return _("%s lets in rsync alone, so nobody could look.") % backup.source
        return _("%s is there, with something in it.") % backup.source_folder
    return _what_came(look)


def _what_came(look: Look) -> str:
    if name := look.facts.get("came", ""):
        return _("%s came over, and was thrown away again.") % name
    if name := look.facts.get("began", ""):
        return (
            _("The beginning of %s came over, and was thrown away again: there is no file of at most 1 MiB.")
            % name
        )
    return _("It can be read. There was no file among the first to be tried.")


def _size(number: int) -> str:
    from pages.templatetags.pages_tags import binary_size

    return str(binary_size(number))


def verdict(answers: list[Answer]) -> str:
    """Where the way breaks, in one sentence."""
    broken = next((answer for answer in answers if answer.ok is False), None)
    if broken is not None:
        return broken.words
    return _("The way is free.")
