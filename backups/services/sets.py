"""What can be done with sets: make, change, run, stop, delete; and what goes on while one runs."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record, record_change
from backups import rhythm
from backups.ending import give_up
from backups.models import (
    Backup,
    BackupRun,
    BackupSet,
    BackupSetMember,
    BackupSetPart,
    BackupSetRun,
    RunState,
    SetState,
    Why,
)
from backups.models.runs import OPEN
from backups.services.runs import (
    RunRefused,
    ask_run,
    here_and_now,
    rotated_of,
    state_of,
    stop_run,
)
from backups.telling import tell_set
from servers.services import StaleEdit

FIELDS = ("name", "active", "hour", "minute", "side_by_side", "go_on")
TIMES = ("active", "hour", "minute")


def set_facts(set_: BackupSet) -> dict[str, Any]:
    """The set in plain values."""
    members = [member.backup_id for member in set_.members.all()]
    return {**{name: getattr(set_, name) for name in FIELDS}, "backups": members}


def save_set(
    actor: Actor,
    set_: BackupSet,
    fields: dict[str, Any],
    backups: Sequence[Backup],
    version: int | None = None,
) -> BackupSet:
    """Make a set, or change it if nobody else has since `version`. Raises StaleEdit."""
    with transaction.atomic():
        before: dict[str, Any] | None = None
        if set_.pk:
            fresh = BackupSet.objects.select_for_update().filter(pk=set_.pk).first()
            if fresh is None or (version is not None and fresh.version != version):
                raise StaleEdit(
                    _("Somebody else has changed or deleted this set meanwhile. Look at it again.")
                )
            set_, before = fresh, set_facts(fresh)
            set_.version += 1
            if any(getattr(set_, name) != fields[name] for name in TIMES):
                set_.timed_at = timezone.now()
        for name in FIELDS:
            setattr(set_, name, fields[name])
        set_.save()
        set_.members.all().delete()
        BackupSetMember.objects.bulk_create(
            BackupSetMember(set=set_, backup=backup, position=number)
            for number, backup in enumerate(backups, 1)
        )
        if before is None:
            record(actor, "backup_set.create", set_, after=set_facts(set_))
        else:
            record_change(actor, "backup_set.change", set_, before, set_facts(set_))
    return set_


def delete_set(actor: Actor, set_: BackupSet) -> None:
    """Delete a set; its backups and their runs stay. Raises RunRefused while it runs."""
    with transaction.atomic():
        if set_.runs.filter(state=SetState.RUNNING).exists():
            raise RunRefused(_("This set is running: stop it first."))
        record(actor, "backup_set.delete", set_, before=set_facts(set_))
        set_.delete()


def run_by_it_alone(set_: BackupSet) -> list[Backup]:
    """The backups that run by themselves in no other way: they are switched off, and in no other set with a time."""
    others = BackupSet.objects.filter(active=True).exclude(pk=set_.pk)
    own = Backup.objects.filter(set_members__set=set_, active=False) if set_.active else Backup.objects.none()
    return list(own.exclude(set_members__set__in=others).select_related("source"))


def run_set(actor: Actor, set_: BackupSet) -> BackupSetRun:
    """Start a set. While it runs already, that is written down as “not started”, and that row is returned."""
    members = list(set_.members.select_related("backup"))
    record(actor, "backup_set.run", set_)
    try:
        with transaction.atomic():
            run = BackupSetRun.objects.create(set=set_, asked_by=actor.name)
            BackupSetPart.objects.bulk_create(
                BackupSetPart(set_run=run, backup=member.backup, position=member.position)
                for member in members
            )
    except IntegrityError:
        return _not_started(actor, set_, _("The run before it was still on."))
    go_on(run)
    run.refresh_from_db()
    return run


@transaction.atomic
def _not_started(actor: Actor, set_: BackupSet, words: str) -> BackupSetRun:
    now = timezone.now()
    run = BackupSetRun.objects.create(
        set=set_, asked_by=actor.name, state=SetState.NOT_STARTED, started_at=now, ended_at=now, words=words
    )
    tell_set(run)
    return run


def go_on(run: BackupSetRun) -> None:
    """Ask for the next backups of a set's run, or end it."""
    with transaction.atomic():
        run = BackupSetRun.objects.select_for_update().select_related("set").get(pk=run.pk)
        if run.state != SetState.RUNNING:
            return
        parts = list(run.parts.select_related("run", "backup__destination", "backup__source"))
        for part in parts:
            if part.run is not None:
                if part.run.state in OPEN and not run.set.side_by_side:
                    return
                if part.run.again_at and run.set.go_on:
                    continue  # the others need not wait for it
                if part.run.again_at:
                    return
                if part.run.state != RunState.DONE and part.run.ended and not run.set.go_on:
                    break
                continue
            levels = rhythm.with_lowest(
                tuple(part.backup.keeps), rotated_of(state_of(part.backup)), here_and_now()
            )
            part.run = ask_run(Actor.system(f"set {run.set}"), part.backup, Why.SET, levels)
            part.save(update_fields=["run"])
            if not run.set.side_by_side:
                return
        if any(part.run and (part.run.state in OPEN or part.run.again_at) for part in parts):
            return
        _end(run, parts)


def _end(run: BackupSetRun, parts: list[BackupSetPart]) -> None:
    good = sum(1 for part in parts if part.run and part.run.state == RunState.DONE)
    run.state = SetState.DONE if good == len(parts) else SetState.FAILED
    if good < len(parts):
        run.words = _("%(good)d of %(all)d backups ended well.") % {"good": good, "all": len(parts)}
    run.ended_at = timezone.now()
    run.save()
    tell_set(run)


def stop_set(actor: Actor, run: BackupSetRun) -> None:
    """Stop a set's run and the runs that it started. Raises RunRefused when it has ended."""
    with transaction.atomic():
        stopped = BackupSetRun.objects.filter(pk=run.pk, state=SetState.RUNNING).update(
            state=SetState.STOPPED, ended_at=timezone.now(), words=_("Stopped by %s.") % actor.name
        )
        if not stopped:
            raise RunRefused(_("This run has ended already."))
        record(actor, "backup_set.stop", run.set)
        for part in run.parts.filter(run__state__in=OPEN).select_related("run__backup", "run__job"):
            if part.run is not None:
                stop_run(actor, part.run)
        for part in run.parts.filter(run__again_at__isnull=False).select_related("run__backup"):
            if part.run is not None:
                give_up(part.run)


def run_ended(run: BackupRun) -> None:
    """A run has ended: the sets that waited for it go on."""
    waiting = BackupSetPart.objects.filter(run=run, set_run__state=SetState.RUNNING)
    for part in waiting.select_related("set_run"):
        go_on(part.set_run)


def look_after_sets() -> None:
    """Let every set that runs go on, whatever it has missed."""
    for run in BackupSetRun.objects.filter(state=SetState.RUNNING):
        go_on(run)


def run_due_sets() -> list[BackupSetRun]:
    """Start the active sets whose time of day has come, and write down those whose time has passed."""
    actor = Actor.system("scheduler")
    found = []
    for set_ in BackupSet.objects.filter(active=True):
        now = here_and_now()
        last = set_.runs.order_by("-started_at").values_list("started_at", flat=True).first()
        if rhythm.set_due(set_.hour, set_.minute, last, now):
            found.append(run_set(actor, set_))
        elif rhythm.set_missed(set_.hour, set_.minute, set_.timed_at, last, now):
            at = f"{rhythm.set_time(set_.hour, set_.minute, now):%Y-%m-%d %H:%M}"
            words = _("It was to run at %s, and Gestion did not run then: now it is too late.") % at
            found.append(_not_started(actor, set_, words))
    return found
