"""`manage.py backup_panel`: the panel itself into one file."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from gestion.panel_backup import archive
from gestion.panel_backup.database import DatabaseCopyError


def positive(text: str) -> int:
    """A number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least one is kept")
    return number


class Command(BaseCommand):
    """Writes an archive while the panel runs."""

    help = (
        "Back up the panel itself: its database and its secrets, into one file that only its owner can read."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Where to, and how many to keep."""
        parser.add_argument(
            "target", metavar="FILE|FOLDER", type=Path, help="in a folder, the file is named after the time"
        )
        parser.add_argument(
            "--keep", type=positive, metavar="N", help="in a folder: delete all but the newest N"
        )
        parser.add_argument(
            "--without-secrets", action="store_true",
            help="leave the secrets out; then nobody can use the backup who does not have them from elsewhere",
        )  # fmt: skip

    def handle(
        self, *_args: Any, target: Path, keep: int | None, without_secrets: bool, **_options: Any
    ) -> None:
        """Write it, then tidy up."""
        in_folder = target.is_dir()
        if keep and not in_folder:
            raise CommandError(f"--keep needs a folder, and {target} is none.")
        path = target / datetime.now(UTC).strftime(archive.NAME) if in_folder else target
        if path.exists():
            raise CommandError(f"There is {path} already; it is left as it is.")
        try:
            archive.write(path.absolute(), with_secrets=not without_secrets)
        except (DatabaseCopyError, DatabaseError, archive.ArchiveError, OSError) as error:
            raise CommandError(f"No backup was made. {error}") from error
        self.stdout.write(f"{path} ({path.stat().st_size:,} bytes, verified)")
        if keep:
            for old in archive.delete_older(target, keep):
                self.stdout.write(f"deleted {old}")
