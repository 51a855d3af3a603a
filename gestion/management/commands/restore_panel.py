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

from gestion.management.commands.panel import take_lock
from gestion.panel_backup import archive, database, restoring
from gestion.panel_backup.archive import Archive, ArchiveError

NEXT = """Restored: the panel of {url}, as it was at {made_at}.
Next:
  1. Start it (systemctl start gestion.target, or manage.py panel) and sign in; all sessions have ended.
  2. What was done since then is not known here: look at the servers' differences before you roll anything out,
     and withdraw once more what was withdrawn since: people, keys, API tokens."""


class Command(BaseCommand):
    """Checks everything, then replaces the database in one step."""

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
        parser.add_argument("--put-in-order", metavar="MADE_AT", help=argparse.SUPPRESS)  # our second half

    def handle(self, *_args: Any, file: Path | None, **options: Any) -> None:
        """Restore."""
        if options["put_in_order"]:
            call_command("migrate", interactive=False, verbosity=0)
            if given_up := restoring.put_in_order(options["put_in_order"]):
                self.stdout.write(
                    f"{given_up} jobs that waited or ran then were given up; see the list of jobs."
                )
            return
        if file is None:
            raise CommandError("Which file?")
        lock = take_lock(Path(settings.DATA_DIR) / "panel.lock")
        try:
            with archive.opened(file.absolute()) as found:
                self._restore(found, options["secrets_to"], replace=options["replace"])
        except (ArchiveError, database.DatabaseCopyError, OSError) as error:
            raise CommandError(f"Not restored. {error}") from error
        finally:
            os.close(lock)

    def _restore(self, found: Archive, secrets_to: Path | None, *, replace: bool) -> None:
        secrets = restoring.differing_secrets(found)
        into_data = settings.EMBEDDED and not any(os.environ.get(name) for name in secrets)
        somewhere = bool(found.secrets) and (into_data or secrets_to is not None)
        reasons = list(restoring.refusals(found, replace=replace, secrets_go_somewhere=somewhere))
        if reasons:
            raise CommandError("\n".join(["Not restored.", *reasons]))
        if secrets_to:
            _write_new(secrets_to, "".join(f"{name}={value}\n" for name, value in secrets.items()))
        database.load(found.database)
        if into_data and not secrets_to:
            for name, value in secrets.items():
                path = settings.DATA_DIR / name.lower()
                if path.exists():
                    path.replace(path.with_suffix(".before-restore"))
                _write_new(path, value)
        self._put_in_order(found, secrets)
        self.stdout.write(NEXT.format(**found.manifest))
        if secrets_to and secrets:
            self.stdout.write(
                f"  0. First of all put the lines of {secrets_to} into your settings, and delete that file."
            )

    def _put_in_order(self, found: Archive, secrets: dict[str, str]) -> None:
        """In a process of its own, which has the backup's secrets from its start."""
        argv = [
            sys.executable,
            "manage.py",
            "restore_panel",
            "--put-in-order",
            str(found.manifest["made_at"]),
        ]
        done = subprocess.run(
            argv,
            cwd=settings.BASE_DIR,
            env={**os.environ, **secrets},
            capture_output=True,
            text=True,
            check=False,
        )
        self.stdout.write(done.stdout, ending="")
        if done.returncode:
            raise CommandError(
                f"The database is restored, but bringing it up to date failed:\n{done.stderr[-2000:]}\n"
                "Run manage.py migrate once that is mended."
            )


def _write_new(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(text)
