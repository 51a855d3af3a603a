"""Run the active backups: what cron calls."""

import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from accounts.actors import Actor
from backups import rhythm
from backups.models import Backup, BackupRun, Level, RunState, Why
from backups.models.runs import OPEN
from backups.services import runs
from backups.telling import told

PAUSE = 2.0  # seconds between looks while waiting


class Command(BaseCommand):
    """Without a mode: whatever is due, so that one line in the crontab does."""

    help = (
        "Run the active backups: all that are due, or one level of all. Says nothing if all is well (-v 2 lists what "
        "was asked for). Exit code 1: something could not be started, or with --wait did not end well."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The mode, and whether to wait."""
        parser.add_argument("mode", nargs="?", choices=Level.values, help="only this level of each backup")
        parser.add_argument("--wait", action="store_true", help="until the runs have ended")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Ask for the runs; raises CommandError (exit code 1) with what did not work."""
        now = runs.here_and_now()
        level = Level(options["mode"]) if options["mode"] else None
        asked: list[BackupRun] = []
        troubles: list[str] = []
        backups = Backup.objects.filter(active=True).select_related("source", "destination").order_by("pk")
        for backup in backups:
            levels = _one(backup, level, now) if level else runs.due_levels(backup, now)
            if not levels:
                continue
            if trouble := _in_the_way(backup, levels):
                troubles.append(trouble)
                continue
            asked.append(runs.ask_run(Actor.system("cron"), backup, Why.CRON, levels))
            if options["verbosity"] > 1:
                self.stdout.write(f"{backup}: {', '.join(levels)}")
        if options["wait"]:
            troubles += _wait(asked)
        if troubles:
            raise CommandError("\n".join(troubles))


def _one(backup: Backup, level: Level, now: datetime) -> list[Level]:
    """This level, if the backup keeps it, and the panel's own schedule has not done it in this slot already."""
    if level not in backup.keeps:
        return []
    last = runs.rotated_of(runs.state_of(backup)).get(level)
    if last is None or not settings.BACKUP_SCHEDULE:
        return [level]
    done = rhythm.slot(level, last.astimezone(now.tzinfo)) == rhythm.slot(level, now)
    return [] if done else [level]


def _in_the_way(backup: Backup, levels: list[Level]) -> str:
    """Why it is not started; a run that waits takes more levels, one that is on does not."""
    running = backup.runs.filter(state=RunState.RUNNING).first()
    if running and set(running.levels) & {level.value for level in levels}:
        since = running.started_at.astimezone(runs.here_and_now().tzinfo) if running.started_at else ""
        return _("%(backup)s: not started, it still runs since %(since)s.") % {
            "backup": backup, "since": f"{since:%Y-%m-%d %H:%M}" if since else "",
        }  # fmt: skip
    last = runs.state_of(backup).last
    if last and last.state == RunState.HELD and backup.lowest not in levels:
        return _("%(backup)s: not rotated, it is held: %(words)s") % {"backup": backup, "words": last.error}
    return ""


def _wait(asked: list[BackupRun]) -> list[str]:
    """Wait until all have ended; what did not end well."""
    names = [run.pk for run in asked]
    while BackupRun.objects.filter(pk__in=names, state__in=OPEN).exists():
        time.sleep(PAUSE)
    ended = BackupRun.objects.filter(pk__in=names).exclude(state=RunState.DONE)
    return [told(run) for run in ended.select_related("backup__source")]
