"""`manage.py restore_panel`: a backup of the panel in the place of what is there."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from gestion.management.commands.panel import take_lock
from gestion.panel_backup import archive, database, replacing, restoring, secrets_file
from gestion.panel_backup.archive import Archive, ArchiveError

NEXT = """Restored: the panel of {url}, as it was at {made_at}.
Next:
  1. Start it (systemctl start gestion.target, or manage.py panel) and sign in; all sessions have ended.
  2. What was done since then is not known here: look at the servers' differences before you roll anything out,
     and withdraw once more what was withdrawn since: people, keys, API tokens."""


class Command(BaseCommand):
    """Checks everything, then replaces the database; what was there comes back if anything fails."""

    help = "Restore the panel from a file of backup_panel. The panel must not run."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """What, and what may be overwritten."""
        parser.add_argument("file", type=Path, nargs="?", help="a file that backup_panel wrote")
        parser.add_argument(
            "--replace", action="store_true", help="also where this panel has accounts already"
        )
        parser.add_argument(
            "--secrets-to", type=Path, metavar="FILE",
            help="write the backup's secrets that differ from the settings into this new file, to put them there",
        )  # fmt: skip
        parser.add_argument(
            "--check", action="store_true", help="only say whether it could be restored; the panel may run"
        )
        parser.add_argument("--secrets-fd", type=int, help=argparse.SUPPRESS)  # for install.sh
        parser.add_argument("--put-in-order", metavar="MADE_AT", help=argparse.SUPPRESS)  # our second half

    def handle(self, *_args: Any, file: Path | None, **options: Any) -> None:
        """Restore."""
        if options["put_in_order"]:
            self._second_half(options["put_in_order"])
            return
        if file is None:
            raise CommandError("Which file?")
        data = Path(settings.DATA_DIR)
        lock = None if options["check"] else take_lock(data / "panel.lock")
        try:
            with archive.opened(file.absolute(), data) as found:
                if options["check"]:
                    self._check(found)
                else:
                    self._restore(found, options)
        except (ArchiveError, database.DatabaseCopyError, OSError, ValueError) as error:
            raise CommandError(f"Not restored. {error}") from error
        finally:
            if lock is not None:
                os.close(lock)

    def _check(self, found: Archive) -> None:
        if reasons := list(restoring.not_for_this_panel(found)):
            raise CommandError("\n".join(["It cannot be restored.", *reasons]))
        self.stdout.write(
            f"It can be restored: the panel of {found.manifest['url']}, {found.manifest['made_at']}"
        )

    def _restore(self, found: Archive, options: dict[str, Any]) -> None:
        secrets, secrets_to, secrets_fd = (
            restoring.differing_secrets(found),
            options["secrets_to"],
            options["secrets_fd"],
        )
        told = secrets_to is not None or secrets_fd is not None
        into_data = settings.EMBEDDED and not told and not any(os.environ.get(name) for name in secrets)
        goes = bool(found.secrets) and (told or into_data)
        reasons = list(restoring.refusals(found, replace=options["replace"], secrets_go_somewhere=goes))
        if reasons:
            raise CommandError("\n".join(["Not restored.", *reasons]))
        lines = "".join(secrets_file.line(name, value) for name, value in secrets.items()) if told else ""
        with replacing.replaced(found.database):
            self._put_in_order(found, secrets)
            if secrets_to:
                _write_new(secrets_to, lines)
            elif secrets_fd is not None:
                os.write(secrets_fd, lines.encode())
            elif into_data:
                _put_into_data(secrets)
        self.stdout.write(NEXT.format(**found.manifest))
        if secrets_to and secrets:
            self.stdout.write(
                f"  0. First of all put the lines of {secrets_to} into your settings, and delete that file."
            )

    def _put_in_order(self, found: Archive, secrets: dict[str, str]) -> None:
        """In a process of its own, which has the backup's secrets from its start."""
        made_at = str(found.manifest["made_at"])
        done = subprocess.run(
            [sys.executable, "manage.py", "restore_panel", "--put-in-order", made_at],
            cwd=settings.BASE_DIR,
            env={**os.environ, **secrets},
            capture_output=True,
            text=True,
            check=False,
        )
        self.stdout.write(done.stdout, ending="")
        if done.returncode:
            raise CommandError(
                f"Not restored: what is in the backup could not be brought up to date.\n{done.stderr[-2000:]}\n"
                "What was there is there again."
            )

    def _second_half(self, made_at: str) -> None:
        if unknown := restoring.unknown_migrations(MigrationRecorder(connection).applied_migrations()):
            raise CommandError(f"Its database is of a newer panel: {', '.join(unknown[:3])}.")
        call_command("migrate", interactive=False, verbosity=0)
        if given_up := restoring.put_in_order(made_at):
            self.stdout.write(f"{given_up} jobs that waited or ran then were given up; see the list of jobs.")


def _put_into_data(secrets: dict[str, str]) -> None:
    for name, value in secrets.items():
        path = settings.DATA_DIR / name.lower()
        if path.exists():
            path.replace(path.with_suffix(".before-restore"))
        _write_new(path, value)


def _write_new(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
