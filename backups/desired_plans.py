"""What a backup server should hold: for each backup its rsnapshot.conf, excludes, ssh_config and known_hosts."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from backups.configs import NotWritable, configured
from backups.desired_runner import runner_files
from backups.folders import RUNNING_SYSTEM, excluded
from backups.models import Backup
from backups.paths import DATA, SOURCE, Paths
from backups.ways import SOURCE_READER, Hop, NoWay, reader_of, way_from
from hosts.state import STAGED, BadState, Command, File, Item, State
from servers.models import Server

KIND = "rsnapshot"
RSYNC = "/usr/bin/rsync"
# ACLs, extended attributes, hard links and sparse files come with rsync_short_args (-aHAXS).
RSYNC_OPTIONS = ("--numeric-ids", "--delete", "--delete-excluded")
RSYNC_SAYS = ("--stats", "--outbuf=L")
PLAIN = ("--protect-args",)
# The program there is to see the words that it allows. To a shell they mean nothing: the folder is said by its UUID.
AS_ROOT = ("--no-protect-args", f"--rsync-path={SOURCE_READER}")


@dataclass(frozen=True)
class Plan:
    """Everything that the files of one backup depend on."""

    uuid: UUID
    source_folder: str
    destination_folder: str
    patterns: tuple[str, ...]  # of rsync, anchored at the source folder
    one_file_system: bool
    keeps: tuple[tuple[str, int], ...]  # the lowest level first
    way: tuple[Hop, ...]  # the source last
    as_root: bool = False  # by sudo, although the way leads to another user

    @property
    def paths(self) -> Paths:
        """Where it all lies."""
        return Paths(self.uuid, self.destination_folder)


def plan_of(backup: Backup) -> Plan:
    """Read the rows of a backup; raises NoWay when nothing says how its source is reached."""
    return Plan(
        backup.uuid,
        backup.source_folder,
        backup.destination_folder,
        patterns_of(backup.excludes, system=backup.leaves_out_system),
        backup.one_file_system,
        tuple((level.value, count) for level, count in backup.keeps.items()),
        way_from(backup.destination, backup.source),
        bool(reader_of(backup)),
    )


def patterns_of(excludes: str, *, system: bool) -> tuple[str, ...]:
    """The excludes as patterns of rsync (rsync(1), PATTERN MATCHING RULES), each once, sorted.

    `*` and `?` stay wildcards; all else is taken as it is. A backslash escapes only in a pattern with wildcards.
    """
    found = {_pattern(entry) for entry in excluded(excludes)}
    if system:  # the folders themselves stay, so that a restored system can mount something there
        found |= {f"{folder}/*" for folder in RUNNING_SYSTEM}
    return tuple(sorted(found))


def _pattern(entry: str) -> str:
    if not set(entry) & set("*?["):
        return entry
    return entry.replace("\\", "\\\\").replace("[", "\\[")


def asked_of(plan: Plan) -> str:
    """What rsync asks the source for. There it reads `*`, `?` and `[` as patterns (rsync(1), ADVANCED USAGE).

    As in a pattern of a filter, a backslash escapes only in a name with wildcards.
    """
    folder = f"/{plan.uuid}" if plan.as_root else "/".join(map(_as_it_is, plan.source_folder.split("/")))
    return f"{SOURCE}:{folder.rstrip('/')}/"


def _as_it_is(name: str) -> str:
    return re.sub(r"[*?\[\\]", r"\\\g<0>", name) if set(name) & set("*?[") else name


def files(plan: Plan) -> tuple[File, ...]:
    """The files of one backup; raises NotWritable for what no file can say."""
    paths = plan.paths
    config = configured(
        "rsnapshot.conf.j2",
        destination=plan.destination_folder,
        rsync=RSYNC,
        lock=paths.lock,
        one_file_system=plan.one_file_system,
        keeps=plan.keeps,
        rsync_options=[
            *RSYNC_OPTIONS,
            *(AS_ROOT if plan.as_root else PLAIN),
            *RSYNC_SAYS,
            f"--exclude-from={paths.excludes}",
        ],
        ssh=paths.ssh,
        source=asked_of(plan),
        data=DATA,
    )
    texts = {
        paths.config: config,
        paths.excludes: configured("exclude.j2", patterns=plan.patterns),
        paths.ssh: configured("ssh_config.j2", hops=hops_of(plan.way), known_hosts=paths.known_hosts),
        paths.known_hosts: configured("known_hosts.j2", keys=keys_of(plan.way)),
    }
    return tuple(File(path, text.encode(), mode=0o600) for path, text in texts.items())


# As in backup-run.
COPIED = re.compile(rb"backup\t|one_fs\t|  (HostName|Port|User) |/")


def sum_of(backup: Backup) -> str:
    """The SHA-256 of the lines that say from where and what this backup copies; "-" where there can be none."""
    try:
        plan = plan_of(backup)
        texts = {file.path: file.content for file in files(plan)}
    except (NoWay, NotWritable):
        return "-"
    paths = plan.paths
    lines = (texts[paths.config] + texts[paths.excludes] + texts[paths.ssh]).split(b"\n")
    return hashlib.sha256(b"".join(line + b"\n" for line in lines if COPIED.match(line))).hexdigest()


def hops_of(way: tuple[Hop, ...]) -> list[dict[str, object]]:
    """The source first, under its own alias, then the hosts that lead to it."""
    aliases = [*(f"via{number}" for number in range(1, len(way))), SOURCE]
    found: list[dict[str, object]] = []
    for number, (alias, hop) in enumerate(zip(aliases, way, strict=True)):
        through = aliases[number - 1] if number else ""
        found.insert(0, {"alias": alias, "name": hop.name, "address": hop.address, "through": through})
    return found


def keys_of(way: tuple[Hop, ...]) -> list[tuple[str, str]]:
    """The pinned host keys of the way, each with the name under which it counts."""
    return [(hop.name, key) for hop in way for key in hop.host_keys]


@dataclass(frozen=True)
class Plans:
    """The backups of one backup server with their files, and why others (by primary key) have none."""

    good: tuple[tuple[Plan, tuple[File, ...]], ...]
    left_out: dict[int, str]


def plans_on(server: Server) -> Plans:
    """All backups to this server, switched off ones too; one that cannot be written never keeps the others from it."""
    backups = Backup.objects.filter(destination=server).order_by("uuid")
    good, left_out = [], {}
    for backup in backups.select_related("source__vm_host", "destination"):
        try:
            plan = plan_of(backup)
            good.append((plan, files(plan)))
        except (NoWay, NotWritable, BadState) as error:
            left_out[backup.pk] = _left_out(backup, error)
    return Plans(tuple(good), left_out)


def does(server: Server) -> Iterator[str]:
    """What the server backs up, in words: see servers.registry.RolloutKind."""
    rows = Backup.objects.filter(destination=server, active=True).select_related("source").order_by("uuid")
    for row in rows:
        yield _("the backup of %s") % row


def why_left_out(backup: Backup) -> str:
    """Why the backup server has no files of this backup, in a sentence; empty if nothing keeps it from them."""
    try:
        files(plan_of(backup))
    except (NoWay, NotWritable, BadState) as error:
        return _left_out(backup, error)
    return ""


def _left_out(backup: Backup, error: Exception) -> str:
    if isinstance(error, NoWay):
        words = {"there": backup.destination, "server": error}
        why = _("Nothing says how %(there)s reaches %(server)s: correct its SSH connection.") % words
    else:
        why = str(error)
    return _("The backup of %(backup)s does not run: %(why)s") % {"backup": backup, "why": why}


def checks(plan: Plan) -> tuple[Command, ...]:
    """How the host's own tools read the files of one backup before they count."""
    paths = plan.paths
    return (
        Command(("rsnapshot", "-c", STAGED(paths.config), "configtest")),
        Command(("ssh", "-F", STAGED(paths.ssh), "-G", SOURCE)),
    )


def desired(server: Server) -> State | None:
    """What the server should hold of kind "rsnapshot"; nothing where no backup goes to."""
    plans = plans_on(server)
    if not plans.good and not plans.left_out:
        return None
    items: tuple[Item, ...] = tuple(item for _plan, made in plans.good for item in made)
    return State(
        kind=KIND,
        items=(*items, *runner_files()),
        checks=tuple(check for plan, _made in plans.good for check in checks(plan)),
        left_out=tuple(plans.left_out.values()),
    )
