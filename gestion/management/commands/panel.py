"""`manage.py panel`: the whole embedded panel in the foreground."""

import argparse
import fcntl
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

LAUNCHER = Path(settings.BASE_DIR) / "gestion" / "launcher.py"
LEAVING = 3.0  # seconds that a panel which was killed just now may need to leave its port


def address(text: str) -> tuple[str, int]:
    """`host:port` or `[v6 address]:port` as its two parts."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([\w.-]+)):(\d{1,5})", text)
    if not found or not 0 < int(found[3]) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not host:port")
    return found[1] or found[2], int(found[3])


class Command(BaseCommand):
    """Migrates, then becomes the launcher of web, worker and scheduler."""

    help = "Run the whole panel here: web, worker and scheduler. Ctrl-C ends it."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where to listen."""
        parser.add_argument(
            "--bind",
            action="append",
            type=address,
            metavar="HOST:PORT",
            help="listen here; may be given several times (default 127.0.0.1:8000)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Take the lock, bring the database up to date, and hand over."""
        binds = options["bind"] or [("127.0.0.1", 8000)]
        lock = take_lock(Path(settings.DATA_DIR) / "panel.lock")
        for host, port in binds:
            check_free(host, port)
        call_command("migrate", interactive=False, verbosity=0)
        self.stdout.flush()
        self.stderr.flush()
        # The launcher needs none of Django: in its own small process it costs a tenth of the memory.
        os.set_inheritable(lock, True)
        argv = [sys.executable, "-P", str(LAUNCHER), "--url", settings.GESTION_URL]
        argv += [f"--bind={host} {port}" for host, port in binds]
        argv += [f"--queues={','.join(settings.JOBS_SLOTS)}"]
        os.execve(sys.executable, argv, {**os.environ, "GESTION_FIRST_WORDS": first_words()})  # noqa: S606


def check_free(host: str, port: int) -> None:
    """Raise CommandError where nobody can listen: the web process would only be started again and again."""
    until = time.monotonic() + LEAVING
    while why := _why_taken(host, port):
        if time.monotonic() > until:
            words = {"host": f"[{host}]" if ":" in host else host, "port": port, "why": why}
            text = _(
                "Nobody can listen at %(host)s:%(port)s: %(why)s. Stop what uses it, or choose another place: "
                "manage.py panel --bind 127.0.0.1:8001, with GESTION_URL=http://127.0.0.1:8001/."
            )
            raise CommandError(text % words)
        time.sleep(0.2)


def _why_taken(host: str, port: int) -> str:
    try:
        family, kind, protocol, _name, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def first_words() -> str:
    """What to say besides the address: how to make the first account, as long as there is none."""
    from accounts.models import User
    from accounts.setup_code import setup_code

    if User.objects.exists():
        return ""
    return _("Make the first account there. It asks for this set-up code: %s") % setup_code()


def take_lock(path: Path) -> int:
    """The lock of this data, as an open file; two panels on the same data would both run its schedule."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = path.read_text().strip()
        raise CommandError(
            _("A panel runs on %(folder)s already (process %(holder)s). End it, or set another DATA_DIR.")
            % {"folder": path.parent, "holder": holder or "?"}
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return lock
