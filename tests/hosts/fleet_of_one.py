"""What the engine's tests share: a State in an old and a new form, and pictures of a host's files."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from hosts.engine import Plan, apply, plan
from hosts.memory import MemoryHost
from hosts.state import STAGED, Command, File, Item, Link, State
from tests.waiting import wait_for

RELOAD = Command(("systemctl", "reload", "web"))

OLD: tuple[Item, ...] = (
    File("/etc/web/site.conf", b"old\n"),
    File("/etc/web/gone.conf", b"goes away\n"),
    File("/etc/secret/key", b"old secret\n", mode=0o600, secret=True),
    Link("/etc/web/current", "site.conf"),
)
NEW: tuple[Item, ...] = (
    File("/etc/web/site.conf", b"new\n", mode=0o640),
    File("/etc/web/more/below/first.conf", b"\0first", mode=0o750),
    File("/etc/secret/key", b"new secret\n", mode=0o600, secret=True),
    Link("/etc/web/current", "more/below"),
)


def state(items: tuple[Item, ...], **parts: object) -> State:
    """A kind "web" with a staged check, a check in place, an activation and two proofs."""
    whole: dict[str, object] = {
        "checks": (
            Command(("check-staged", STAGED("/etc/web/site.conf"))),
            Command(("check-placed",), in_place=True),
        ),
        "activate": (RELOAD,),
        "proofs": (Command(("prove-new",)), Command(("is-active",), always=True)),
    }
    return State("web", items, **(whole | parts))  # type: ignore[arg-type]


def host_in_old_state(**options: object) -> MemoryHost:
    """A host that holds OLD, put there by the engine."""
    host = MemoryHost(files={"/etc/hostname": b"one\n"}, **options)  # type: ignore[arg-type]
    apply(host, plan(host, state(OLD)))
    return host


Picture = dict[str, tuple[str, object]]


def picture(host: MemoryHost, *, stages: bool = True) -> Picture:
    """Everything on the host but the engine's own folder: type and mode, bytes or target.

    `stages` False leaves out what lies beside the targets while an apply is on.
    """
    found: Picture = {}
    for folder, folders, files in os.walk(host.root):
        folders[:] = [name for name in folders if Path(folder, name) != host.root / "var/lib/gestion"]
        if not stages:
            folders[:] = [name for name in folders if not name.startswith(".gestion-")]
            files[:] = [name for name in files if not name.startswith("gestion-")]
        for name in (*folders, *files):
            path = Path(folder, name)
            place = "/" + str(path.relative_to(host.root))
            if path.is_symlink():
                found[place] = ("link", str(path.readlink()))
            elif path.is_dir():
                found[place] = (f"folder {path.stat().st_mode & 0o7777:o}", None)
            else:
                found[place] = (f"file {path.stat().st_mode & 0o7777:o}", path.read_bytes())
    return found


def picture_of(items: tuple[Item, ...]) -> Picture:
    """What `picture` shows of a host that holds the items."""
    host = MemoryHost(files={"/etc/hostname": b"one\n"})
    apply(host, plan(host, state(OLD)))
    apply(host, plan(host, state(items)))
    return picture(host)


UNDO_SECONDS = 60


def hold_timer(host: MemoryHost, others: str = 'exec /bin/sleep "$@"') -> Callable[[], None]:
    """Have an undo timer of UNDO_SECONDS sleep until what this gives is called: however slow a test is, it is not over.

    `others` is what a sleep of any other length does.
    """
    home = host.root.parent
    host.program(
        "sleep",
        f"""#!/bin/sh
[ "$1" = {UNDO_SECONDS} ] || {{ {others}; exit; }}
while [ -d {home} ] && [ ! -e {home}/over ]; do /bin/sleep 0.05; done
""",
    )
    return (home / "over").touch


def apply_and_die_once_proved(host: MemoryHost, found: Plan) -> None:
    """Apply a plan in a process of its own, which is killed as soon as the host has proved what it was given."""
    worker = os.fork()
    if worker == 0:
        try:
            apply(host, found)
        finally:
            os._exit(0)
    wait_for(host.path(f"/var/lib/gestion/runs/{found.run}.proved").exists)
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
