"""One host as it was when it was kept, and how it gets there again."""

import contextlib
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from lab.errors import LabError
from lab.host import LabHost
from lab.system import copy_tree

from . import running
from .files import Files
from .layer import changed, scan
from .rooted import in_root
from .running import INIT, JOURNAL, Process, Running

SESSIONS = ("/system.slice/ssh.service", "/system.slice/cron.service")
"""Services that leave what they have begun alone when they end (`KillMode=process`)."""

READS = {
    "nginx": ("etc/nginx/", "etc/ssl/", "etc/hosts", "var/www/"),
    "smbd": ("etc/samba/", "var/lib/samba/", "var/cache/samba/", "etc/smb"),
    "ssh": ("etc/ssh/",),
}
"""What services have read, or hold open, and would not read again."""

UNITS = ("etc/systemd/", "usr/lib/systemd/", "usr/local/lib/systemd/", "etc/init.d/", "etc/rc")
SETTLE_SECONDS = 5.0  # systemd reads its mounts once a second at most when many change
REST_SECONDS = 2.0  # a session may stay


class HostGround:
    """Keeps a host's state in a folder of the lab, and sets the host back to it."""

    def __init__(self, host: LabHost, folder: Path) -> None:
        self.host = host
        self.copy = folder / host.name
        self._keep_files()
        pid = self._pid()
        self.units = running.units(pid)
        self.kept = self.last = self._look_at_rest()

    def set_back(self) -> str:
        """Set the host back; returns what had to be done in a few words, none if it was as it should be."""
        container = self.host.container
        if container.pid() is None or not container.folder.exists():
            return self._start_anew("stopped")
        try:
            now, layer = running.look(container, self.host.cable), scan(container.upper)
            if layer == self.layer and now == self.last:
                return ""
            if now.config != self.kept.config:
                return self._start_anew("configured")
            words = self._mend(now)
            wrong = self._wrong_after(SETTLE_SECONDS)
        except (LabError, OSError) as error:
            wrong = str(error)
        if wrong:
            return self._start_anew(wrong)
        self._adopt()
        return words

    def _mend(self, now: Running) -> str:
        """Undo what can be undone on the running host; returns what that was. Raises LabError, OSError."""
        words = []
        if not now.plugged:
            self.host.mend()
            self.host.wait_ready()
            words.append("cable")
        strange = self._strange_units(now)
        if strange:
            running.inside(now.init, "systemctl", "stop", *strange)
            words.append("units")
        broken = self._end_processes(now)
        words += self._unmount(now)
        paths = self._put_files_back(now)
        words += paths[:3]
        if running.firewall(now.init) != self.kept.firewall:
            running.put_firewall_back(now.init, self.kept.firewall)
            words.append("firewall")
        words += self._restart(now.init, paths, broken, bool(strange))
        return ", ".join(words) or "processes"

    def _strange_units(self, now: Running) -> list[str]:
        """Return units that are active, or failed, and were not."""
        found = running.units(now.init)
        kinds = (".service", ".timer", ".socket", ".path", ".scope", ".target")
        return [unit for unit in found if unit not in self.units and unit.endswith(kinds)]

    def _end_processes(self, now: Running) -> list[str]:
        """Kill what a test has left; returns the units that need a start for they lack a process they had."""
        broken = []
        for group, ids in running.processes(self.host.container).items():
            if group in {INIT, JOURNAL}:
                continue
            if group not in self.kept.services:
                _kill(ids)
                continue
            had = self.last.processes.get(group, frozenset())
            if now.init != self.last.init:  # it has booted, and with it all its services
                had = running.daemons(ids, now.init) if group in SESSIONS else ids
            if not (had and had <= ids):
                broken.append(group)
                _kill(ids if group in SESSIONS else ())
            else:
                _kill(ids - had)
        missing = self.kept.services - now.services
        return [Path(group).name for group in {*broken, *missing}]

    def _unmount(self, now: Running) -> list[str]:
        extra = Counter(now.mounts) - Counter(self.kept.mounts)
        points = [point for point, _kind, _mode in extra.elements()]
        for point in points:
            # One that was bound elsewhere may go with another.
            running.inside(now.init, "umount", "-l", point.encode().decode("unicode_escape"), check=False)
        return [f"mount {point}" for point in points]

    def _put_files_back(self, now: Running) -> list[str]:
        layer = scan(self.host.container.upper)
        paths = self.files.put_back(now.init, self.layer, layer)
        extra = [path for path in now.places - self.kept.places if "systemd" not in path]
        if extra:
            in_root(now.init, lambda: _remove_all(extra))
        return paths + sorted(extra)

    def _restart(self, pid: int, paths: list[str], broken: list[str], strange: bool) -> list[str]:
        """Have systemd and its services know what the files say again; returns the units started anew."""
        stale = [
            f"{unit}.service"
            for unit, read in READS.items()
            if f"/system.slice/{unit}.service" in self.kept.services
            and any(path.startswith(read) for path in paths)
        ]
        if strange or any(path.startswith(UNITS) for path in paths):
            running.inside(pid, "systemctl", "daemon-reload")
        found = running.units(pid)
        gone = [unit for unit in self.units if self.units[unit] == "active" and found.get(unit) != "active"]
        again = sorted({*stale, *broken, *(unit for unit in gone if unit.endswith((".service", ".timer")))})
        if again or strange or found != self.units:
            running.inside(pid, "systemctl", "reset-failed")
        if again:
            running.inside(pid, "systemctl", "restart", *again)
        if "ssh.service" in again:
            self.host.wait_ready()
        return [f"restarted {unit}" for unit in again]

    def _wrong_after(self, seconds: float) -> str:
        """Return what still differs, in a few words, once it does not go away by itself; empty if all is well."""
        deadline = time.monotonic() + seconds
        while wrong := self._wrong():
            if time.monotonic() > deadline:
                return wrong
            time.sleep(0.05)
        return ""

    def _wrong(self) -> str:
        now, kept = running.look(self.host.container, self.host.cable), self.kept
        if not now.plugged:
            return "cable"
        differ: list[tuple[str, object, object]] = [
            ("processes", now.services, kept.services),
            ("mounts", frozenset(Counter(now.mounts).items()), frozenset(Counter(kept.mounts).items())),
            ("firewall", frozenset(now.firewall.splitlines()), frozenset(kept.firewall.splitlines())),
            ("addresses", now.addresses, kept.addresses),
            ("places", now.places | kept.places, kept.places),
            ("units", frozenset(running.units(now.init).items()), frozenset(self.units.items())),
        ]
        return "; ".join(f"{name}: {_difference(is_so, was)}" for name, is_so, was in differ if is_so != was)

    def _start_anew(self, why: str) -> str:
        """Start the host on a fresh copy of its layer: the way that is always open, and takes a second."""
        container = self.host.container
        if container.pid() is not None:
            container.stop(0)
        if not container.folder.exists():
            container.make()
            (container.folder / "made").touch()
        for name, text in zip(("config", "cable"), self.kept.config.split("\0"), strict=True):
            if text:
                (container.folder / name).write_text(text)
        container.replace_layer(self.copy)
        self.host.start()
        self._adopt()
        return f"started anew ({why})"

    def _adopt(self) -> None:
        """Take the host as it is now for what it is to be: the same, with other inodes and process ids."""
        running.wait_until_booted(self._pid())
        self.layer = scan(self.host.container.upper)
        self.last = self._look_at_rest()

    def _look_at_rest(self) -> Running:
        """Look once nothing comes or goes: whoever asked whether sshd answers is gone, and services are complete."""
        deadline = time.monotonic() + REST_SECONDS
        pid = self._pid()
        while True:
            before = running.processes(self.host.container)
            time.sleep(0.02)
            sessions = [before.get(group, frozenset()) for group in SESSIONS]
            passing = any(ids != running.daemons(ids, pid) for ids in sessions)
            if passing and time.monotonic() < deadline:
                continue
            now = running.look(self.host.container, self.host.cable)
            if now.processes == before or time.monotonic() > deadline:
                return now

    def _keep_files(self) -> None:
        """Copy the layer at a moment at which nothing is written to it."""
        container = self.host.container
        running.wait_until_booted(self._pid())
        self.layer = scan(container.upper)
        while True:
            shutil.rmtree(self.copy, ignore_errors=True)
            self.copy.parent.mkdir(exist_ok=True, mode=0o700)
            copy_tree(container.upper, self.copy)
            before, self.layer = self.layer, scan(container.upper)
            if not changed(before, self.layer):
                break
        self.files = Files(Path(container.lab.base), self.copy, self.layer)

    def _pid(self) -> int:
        pid = self.host.container.pid()
        if pid is None:
            raise LabError(f"{self.host.name} does not run.")
        return pid


def _difference(now: object, kept: object) -> str:
    if isinstance(now, frozenset) and isinstance(kept, frozenset):
        return f"{sorted(now - kept)} are new, {sorted(kept - now)} are missing"
    return f"{now} and not {kept}"


def _kill(processes: Iterable[Process]) -> None:
    for pid, _start in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _remove_all(paths: Iterable[str]) -> None:
    for path in map(Path, paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
