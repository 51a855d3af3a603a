"""Follow a run on its backup server: begin it if it is not there, look until it has ended, read what came of it."""

import time
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from backups import runner
from backups.desired_plans import KIND, sum_of
from backups.desired_sources import KIND as BY_SUDO
from backups.ending import end_run
from backups.models import Backup, BackupRun, RunState
from backups.models.runs import BackupState
from backups.paths import Paths
from backups.runner import Look
from hosts.host import Host
from jobs.models import Job, seconds_said
from jobs.run import Run, Stopped
from servers.models import Rollout, RolloutState

PAUSES = (0.2, 0.3, 0.5, 1.0, 1.0, 2.0)  # seconds between looks; the last one again and again
DEAD_LOOKS = 3  # so often without a sign of life before it counts as dead
RECENT = 5  # runs from which the space that the next one needs is foreseen
ROLLOUT_SECONDS = 120


def work_of(run: BackupRun) -> dict[str, object]:
    """All that backup-run must know of a run."""
    return {
        **way_of(run.backup),
        "levels": " ".join(run.levels),
        "accept": " ".join(run.accepts),
        "stall": settings.BACKUP_STALL_SECONDS,
        "longest": settings.BACKUP_LONGEST_HOURS * 3600,
    }


def way_of(backup: Backup) -> dict[str, object]:
    """What each run of a backup goes by, and a try of its way as well."""
    paths = Paths(backup.uuid, backup.destination_folder)
    state = BackupState.objects.get_or_create(backup=backup)[0]
    return {
        "uuid": backup.uuid,
        "config": paths.config,
        "lock": paths.lock,
        "source_folder": backup.source_folder,
        "destination": backup.destination_folder,
        "destination_place": state.destination_place,
        "source_place": state.source_place,
        "lowest": backup.lowest.value,
        "keeps": " ".join(f"{level.value}:{count}" for level, count in backup.keeps.items()),
        "good_files": state.good_files,
        "good_bytes": state.good_bytes,
        "shrink_limit": backup.shrink_limit,
        "sum": _sum_to_prove(backup),
        **_foreseen(backup),
    }


def _sum_to_prove(backup: Backup) -> str:
    """Where the last rollout did not come to its end, the files there may be older ones, of another server or folder.

    What somebody changed there by hand is no reason to make no copy.
    """
    state = (
        Rollout.objects.filter(server=backup.destination, kind=KIND).values_list("state", flat=True).first()
    )
    return "" if state in (None, RolloutState.IN_SYNC, RolloutState.DRIFTED) else sum_of(backup)


def _foreseen(backup: Backup) -> dict[str, int]:
    """The space that the next run will need: half as much again as the most that one of the last ones took."""
    done = backup.runs.filter(state=RunState.DONE, grown_bytes__isnull=False).order_by("-pk")
    recent = list(done.values("pk", "grown_bytes", "bytes_transferred", "grown_inodes")[:RECENT])
    # The first copy is as big as all of the source, and says nothing about those that follow.
    first = done.values_list("pk", flat=True).last()
    recent = [figures for figures in recent if figures["pk"] != first]
    sizes = [max(figures["grown_bytes"] or 0, figures["bytes_transferred"] or 0) for figures in recent]
    inodes = [figures["grown_inodes"] or 0 for figures in recent]
    return {
        "need_bytes": max(sizes, default=0) * 3 // 2,
        "need_inodes": max(0, max(inodes, default=0)) * 3 // 2,
    }


def wait_for_rollouts(job: Run, backup: Backup) -> None:
    """A backup that was just made or changed has what it needs on both servers in a moment; raises Stopped."""
    needed = Q(server=backup.destination, kind=KIND)
    if backup.as_root:
        needed |= Q(server=backup.source, kind=BY_SUDO)
    coming = Rollout.objects.filter(needed, state__in=(RolloutState.WAITING, RolloutState.APPLYING))
    for second in range(ROLLOUT_SECONDS):
        if not coming.exists():
            return
        if second == 0:
            job.log(_("It waits until what it needs is rolled out."))
        job.wait(1)


class Follower:
    """One job's way with one run."""

    def __init__(self, job: Run, run: BackupRun, host: Host) -> None:
        self.job = job
        self.run = run
        self.host = host
        self.offset = 0
        self.tail = b""
        self.phase = ""
        self.dead = 0

    def follow(self) -> None:
        """To its end. Raises what the host raises, and Stopped; a run that was cut off goes on by itself."""
        try:
            if not self.run.stop_asked_at:
                self._begin()
            self._watch()
        except Stopped:
            if not self._told_to_stop():
                raise  # the worker ends, or another one has this job: the run itself goes on
            self._stop()
            raise

    def _begin(self) -> None:
        if not self.run.begun:
            wait_for_rollouts(self.job, self.run.backup)
        if self.run.begun or runner.look(self.host, self.run.name).known:
            self.job.log(_("Found it on %s.") % self.host.name)
        else:
            runner.start(self.host, self.run.name, work_of(self.run))
            levels = ", ".join(self.run.levels)
            self.job.log(_("Begun on %(host)s: %(levels)s.") % {"host": self.host.name, "levels": levels})
        self._save(begun=True, away_since=None)

    def _watch(self) -> None:
        if self.run.stop_asked_at:
            raise Stopped
        turn = 0
        while not self._over(self._look()):
            self.job.wait(PAUSES[min(turn, len(PAUSES) - 1)])
            turn += 1

    def _stop(self) -> None:
        self.job.log(_("Stopping it on %s.") % self.host.name)
        if not self.run.begun and not runner.look(self.host, self.run.name).known:
            end_run(self.run, RunState.STOPPED, "stopped", _("It was stopped before it began."))
            return
        runner.stop(self.host, self.run.name)
        while not self._over(self._look()):
            time.sleep(PAUSES[2])

    def _told_to_stop(self) -> bool:
        """Whether a person wants the run to end, and not only our process to."""
        fresh = Job.objects.filter(pk=self.job.job.pk).values_list("stop_asked_at", "stop_asked_by").first()
        if fresh and fresh[0] and not self.run.stop_asked_at:
            self._save(stop_asked_at=fresh[0], stop_asked_by=fresh[1])
        return bool(self.run.stop_asked_at) and not self.job.lost

    def _look(self) -> Look:
        look = runner.look(self.host, self.run.name, self.offset)
        if look.output:
            self.offset += len(look.output)
            self.tail = (self.tail + look.output)[-16_000:]
            self.job.output("out", look.output)
        return look

    def _over(self, look: Look) -> bool:
        """Tell how far it is; write down the end if it has come."""
        if look.ended:
            while more := self._look().output:
                del more
            self._end(look)
            return True
        if look.known and look.alive:
            self.dead = 0
            self._tell(look)
            return False
        self.dead += 1
        if self.dead < DEAD_LOOKS:
            return False
        if not look.known:
            words = _("%s knows nothing of this run any more.") % self.host.name
            self._finish(RunState.LOST, "unknown", words, look)
        elif not look.same_boot:
            words = (
                _("%s was started anew in the middle of it. The copies made before are untouched.")
                % self.host.name
            )
            self._finish(RunState.FAILED, "rebooted", words, look)
        else:
            words = _("What ran on %s was ended from outside before it had finished.") % self.host.name
            self._finish(RunState.FAILED, "died", words, look)
        return True

    def _end(self, look: Look) -> None:
        state = RunState(look.facts["state"])
        self._finish(state, look.facts.get("why", ""), look.facts.get("words", ""), look)

    def _finish(self, state: RunState, code: str, words: str, look: Look) -> None:
        end_run(self.run, state, code, words, look=look, output=self.tail.decode(errors="replace"))
        runner.forget(self.host, self.run.name)

    def _tell(self, look: Look) -> None:
        phase = look.facts.get("phase", "")
        if phase != self.phase:
            self.phase = phase
            self._save(live={"phase": phase})
        progress = look.progress
        if progress is None or phase != "copying":
            return
        percent = progress.percent
        self.job.progress(percent or 0, 100 if percent is not None else 0)
        self._save(
            live={
                "phase": phase,
                "bytes": progress.bytes,
                "percent": percent,
                "rate": progress.rate,
                "left_words": seconds_said(progress.left) if percent is not None and progress.left else "",
            }
        )

    def _save(self, **fields: Any) -> None:
        for name, value in fields.items():
            setattr(self.run, name, value)
        BackupRun.objects.filter(pk=self.run.pk, state=RunState.RUNNING).update(**fields)


def note_away(run: BackupRun) -> bool:
    """The backup server could not be asked: since when; whether it is to be asked on."""
    now = timezone.now()
    if run.away_since is None:
        run.away_since = now
        BackupRun.objects.filter(pk=run.pk).update(away_since=now)
    patience = settings.BACKUP_LONGEST_HOURS * 3600 if run.begun else 2 * 3600
    return (now - run.away_since).total_seconds() < patience
