"""The work: one script on one server, in a process of its own that we can end."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from typing import IO, Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.actors import Actor
from fabrun import catalogue
from fabrun.models import ServerRun
from fabrun.values import values_for
from hosts import meter
from jobs.run import Run
from servers.connect import target_of
from servers.models import Server

END_SECONDS = 3.0  # that a process gets between being asked to end and being ended


class ScriptFailed(Exception):  # noqa: N818  # its text is a sentence for the job's page
    """The script did not end well; what it printed says why."""


def run_part(run: Run, *, part: int) -> None:
    """Run the script on one server. Raises ScriptFailed, and what reaching the server raises."""
    row = ServerRun.objects.select_related("run__owner", "server").get(pk=part)
    if row.server is None:
        raise ScriptFailed(_("%s is not in the inventory any more.") % row.server_name)
    order = _order(row, row.server, run)
    with _Process(order) as process, run.on_stop(process.end):
        code = process.follow(run, row.run.seconds)
    run.check_stop()
    if code is None:
        raise ScriptFailed(_("It took longer than %d seconds and was ended.") % row.run.seconds)
    if code:
        words = run.secrets.mask(process.last_words) or _("it says nothing more")
        raise ScriptFailed(_("The script failed (%(code)d): %(words)s") % {"code": code, "words": words})


def _order(row: ServerRun, server: Server, run: Run) -> dict[str, Any]:
    """All that the child process needs, secrets among it: for its standard input only."""
    found = catalogue.of_script(row.run.script)
    script = found.scripts.get(row.run.script)
    if script is None:
        raise ScriptFailed(catalogue.why_none(found, row.run.script))
    actor = Actor(row.run.owner, row.run.actor_name)
    values = values_for(actor, server, script.markers, row.run.unix_user, row.run.arguments)
    if "keymanager_script" in values:
        for line in values["keymanager_script"].splitlines():
            if len(line) > 20:
                run.secrets.add(line.strip())
    return {
        "folder": str(catalogue.folder().resolve()),
        "script": script.name,
        "arguments": row.run.arguments,
        "values": values,
        "server": server.name,
        "target": asdict(target_of(server)),
    }


class _Process:
    """The child, its output read by two threads. A context manager: after it, nothing of it is left here."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = json.dumps(order).encode()
        self.errors = bytearray()  # the end of what it wrote there
        self.process = subprocess.Popen(
            [sys.executable, "-m", "fabrun.child"],
            cwd=settings.BASE_DIR,
            env=catalogue.clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that what it starts ends with it
        )

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_error: object) -> None:
        self.end()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    @property
    def last_words(self) -> str:
        """The last line of its errors."""
        lines = self.errors.decode(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else ""

    def follow(self, run: Run, seconds: float) -> int | None:
        """Hand over the order, log the output as it comes, and return the exit code; None: it took too long."""
        if not (self.process.stdin and self.process.stdout and self.process.stderr):
            raise ScriptFailed(_("The script's process did not start."))
        readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, "out", run)),
            threading.Thread(target=self._read, args=(self.process.stderr, "err", run)),
        ]
        for reader in readers:
            reader.start()
        with suppress(BrokenPipeError):  # it ended before it had read all: its exit code counts
            self.process.stdin.write(self.order)
            self.process.stdin.close()
        try:
            with meter.outside():  # what a script does is its host's time
                code: int | None = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        self.end()
        for reader in readers:
            reader.join(END_SECONDS)
        return code

    def _read(self, pipe: IO[bytes], stream: str, run: Run) -> None:
        with suppress(ValueError, OSError):  # the pipe was closed under us: the process has ended
            while chunk := os.read(pipe.fileno(), 65536):
                run.output(stream, chunk)
                if stream == "err":
                    self.errors = (self.errors + chunk)[-2000:]

    def end(self) -> None:
        """End the child and all it started."""
        for sign, patience in ((signal.SIGTERM, END_SECONDS), (signal.SIGKILL, END_SECONDS)):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, sign)
            until = time.monotonic() + patience
            while time.monotonic() < until:
                if self.process.poll() is not None:
                    break
                time.sleep(0.02)
