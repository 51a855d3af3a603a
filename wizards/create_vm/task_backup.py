"""The backup of the new server, and its first run."""

from collections.abc import Mapping

from django.db import transaction
from django.utils.translation import gettext as _

from backups.desired_plans import KIND
from backups.ending import give_up
from backups.models import Backup, BackupRun, LeftData, RunState, Why
from backups.models.runs import OPEN
from backups.services.plans import DELETE_LEFT, create_backup, delete_backup, delete_left
from backups.services.runs import run_now, stop_run
from backups.watching_plans import backup_holds
from jobs.models import ENDED, Job
from servers.models import Server
from wizards.create_vm.common import rolled_out, server_of, with_it
from wizards.declare import Data, Later, Refused, TaskRun


def wanted(data: Data) -> bool:
    """Whether this part is switched on."""
    return bool(data.get("backup"))


def wanted_run(data: Data) -> bool:
    """Whether the first run is switched on, too."""
    return wanted(data) and bool(data.get("first_backup"))


def _there(data: Data) -> Server:
    found = Server.objects.filter(pk=data.get("backup_server") or 0).first()
    if found is None:
        raise Refused(_("The backup server is not in the inventory any more."))
    return found


def says(data: Data) -> str:
    """The line of the plan."""
    there = Server.objects.filter(pk=data.get("backup_server") or 0).first()
    if there is None:
        return _("Back it up")
    return _("Back it up to %(server)s, into %(backup_folder)s") % {**data, "server": there}


def do(task: TaskRun) -> Later | None:
    """Add the backup, and wait until the backup server has its configuration."""
    there = _there(task.data)
    if "backup" not in task.facts:
        backup = Backup(
            source=server_of(task), destination=there, destination_folder=task.data["backup_folder"]
        )
        with transaction.atomic():
            create_backup(task.actor, backup)
            task.save(backup=backup.pk, uuid=str(backup.uuid))
    return rolled_out(task, there, KIND)


def says_run(data: Data) -> str:
    """The line of the plan."""
    return _("Run the first backup")


def do_run(task: TaskRun) -> Later | None:
    """Run it; one that has failed, and is not tried again by itself, is run again when the wizard is resumed."""
    row = _run_of(task) or _by_schedule(task)
    if row is not None and row.state in OPEN:
        return Later(job=row.job, seconds=1, why=_("The backup runs."))
    if row is not None and row.again_at:
        return Later(seconds=15, why=f"{row.error} {row.again_words}")
    if row is not None and row.state == RunState.DONE:
        task.log(_("%(files)s files, %(bytes)s bytes.") % {"files": row.files, "bytes": row.bytes})
        return None
    if row is not None and not task.facts.get("told"):
        task.save(told=True)
        raise Refused(row.error or row.get_state_display())
    backup = Backup.objects.filter(pk=task.results["backup"].get("backup") or 0).first()
    if backup is None:
        raise Refused(_("Its backup is not planned any more."))
    with transaction.atomic():
        row = run_now(task.actor, backup)
        task.save(backup_run=row.pk, runs=[*task.facts.get("runs", ()), row.pk], told=False)
    return Later(seconds=0.5, why=_("The backup runs."))


def _by_schedule(task: TaskRun) -> BackupRun | None:
    """What the schedule, which has a new backup run at once, has begun before: that is the first one then."""
    runs = BackupRun.objects.filter(backup=task.results["backup"].get("backup") or 0, why=Why.SCHEDULE)
    row = None if "backup_run" in task.facts else runs.select_related("job").order_by("pk").first()
    if row is not None:
        task.save(backup_run=row.pk, runs=[row.pk], told=False)
    return row


def _run_of(task: TaskRun) -> BackupRun | None:
    """The wizard's run, or the one by which it was tried again by itself: that is the wizard's own, too."""
    row = BackupRun.objects.select_related("job").filter(pk=task.facts.get("backup_run") or 0).first()
    while row is not None and row.state in (RunState.FAILED, RunState.LOST):
        after = BackupRun.objects.filter(backup=row.backup_id, pk__gt=row.pk).select_related("job")
        again = after.order_by("pk").first()
        if again is None or (again.why, again.attempt) != (Why.AGAIN, row.attempt + 1):
            break  # none, or somebody's who did not wait for it
        task.save(backup_run=again.pk, runs=[*task.facts.get("runs", ()), again.pk], told=False)
        row = again
    return row


def undo_run(task: TaskRun) -> Later | None:
    """Stop it, if it still runs; it is not tried again."""
    row = _run_of(task)
    if row is not None and row.again_at:
        give_up(row)
    if row is None or row.state not in OPEN:
        return None
    if row.stop_asked_at is None:
        stop_run(task.actor, row)
    return Later(job=row.job, seconds=1, why=_("The backup is being stopped."))


def undo_says_run(data: Data) -> str:
    """What an undo does."""
    return _("Stop the first backup, if it still runs")


def undo_says(data: Data, results: Mapping[str, Data]) -> str:
    """What an undo does, and what becomes of the copies."""
    facts = results.get("backup", {})
    if "backup" not in facts:
        return _("No backup was planned")
    backup = Backup.objects.select_related("destination").filter(pk=facts["backup"]).first()
    if backup is None:
        return _("It is backed up no more already; copies that are left stay")
    words = {"backup_folder": backup.destination_folder, "server": backup.destination}
    return with_it(_what_becomes(backup, results, words), backup_holds([backup]))


def _what_becomes(backup: Backup, results: Mapping[str, Data], words: Data) -> str:
    if _others(backup, results.get("first_backup", {})):
        return _("Plan no backup of it any more. The copies in %(backup_folder)s on %(server)s stay, among the left "
                 "copies: others than the wizard's own first backup are there, or were begun") % words  # fmt: skip
    return (
        _("Plan no backup of it any more, and delete its copies in %(backup_folder)s on %(server)s") % words
    )


def undo(task: TaskRun) -> Later | None:
    """Delete the backup; its copies, too, if nothing but this wizard's own run is in them."""
    for row in Backup.objects.filter(pk=task.facts.get("backup") or 0):
        others = _others(row, task.results.get("first_backup", {}))
        with transaction.atomic():
            delete_backup(task.actor, row)
            task.save(delete_copies=not others)
    left = LeftData.objects.filter(uuid=str(task.facts["uuid"])).first() if "uuid" in task.facts else None
    if left is not None and task.facts.get("delete_copies"):
        return _delete_copies(task, left)
    there = Server.objects.filter(pk=task.data.get("backup_server") or 0).first()
    return rolled_out(task, there, KIND) if there else None


def _others(backup: Backup, first: Data) -> bool:
    """Whether there were runs besides those of the wizard's own first backup: their copies somebody may want back."""
    own = [*first.get("runs", ()), first.get("backup_run") or 0]
    return backup.runs.exclude(pk__in=own).exists()


def _delete_copies(task: TaskRun, left: LeftData) -> Later:
    jobs = Job.objects.of(left).filter(work=DELETE_LEFT)
    if job := jobs.exclude(state__in=ENDED).first():
        return Later(job=job, why=_("The copies are being deleted."))
    if (last := jobs.order_by("-pk").first()) and last.error and not task.facts.get("told"):
        task.save(told=True)
        raise Refused(last.error)
    with transaction.atomic():
        job = delete_left(task.actor, left)
        task.save(told=False)
    return Later(job=job, why=_("The copies are being deleted."))
