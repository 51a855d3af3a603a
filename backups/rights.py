"""Whose right an act needs: which servers a run, a restore or a verification touches. Asked at every step of it.

What lies in a copy belongs to the source, and to the one that the backup had when it was made. The backup server lends
its disk and does the work: its owner has no say in it and reads nothing of it. A restore also writes to its target.
"""

from typing import Any

from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.models import User
from backups.earlier import copied_at, is_elsewhere
from backups.models import Backup, BackupRun, CopyFolder, Restore, Verification
from jobs.rights import may_operate


class MayNot(Exception):  # noqa: N818 - told to the person
    """Who asks may not have this done (any more); str() says so."""


def touched(thing: Backup | BackupRun | CopyFolder | Restore | Verification) -> set[int]:
    """The servers whose owners alone may see this, ask for it, begin, repeat and stop it."""
    if isinstance(thing, Restore):
        return {*of_copy(thing.backup, thing.at), thing.target_id}
    if isinstance(thing, CopyFolder):
        return of_copy(thing.backup, thing.at)
    return {thing.source_id if isinstance(thing, Backup) else thing.backup.source_id}


def of_copy(backup: Backup, at: int) -> set[int]:
    """The servers whose owners alone may read the copy of this time."""
    if is_elsewhere(backup, at):
        return {backup.source_id, copied_at(backup, at).source_id}
    return {backup.source_id}


def check(actor: Actor, thing: Backup | BackupRun | CopyFolder | Restore | Verification) -> None:
    """Raises MayNot unless this actor may do something with it; the panel itself may."""
    if actor.user is None:
        return
    person = User.objects.filter(pk=actor.user.pk).first()  # as the account is now
    if not may_operate(person, touched(thing)):
        raise MayNot(_("%s may no longer do this.") % actor.name)


def of_run(backup_run: int) -> set[int]:
    """For jobs: what a run touches."""
    return touched(BackupRun.objects.select_related("backup").get(pk=backup_run))


def of_folder(folder: int) -> set[int]:
    """For jobs: what reading a folder of a copy touches."""
    return touched(CopyFolder.objects.select_related("backup").get(pk=folder))


def of_restore(restore: int) -> set[int]:
    """For jobs: what a restore or its preview touches."""
    return touched(Restore.objects.select_related("backup").get(pk=restore))


def of_verification(verification: int) -> set[int]:
    """For jobs: what a verification touches."""
    return touched(Verification.objects.select_related("backup").get(pk=verification))


def of_backup(backup: int) -> set[int]:
    """For jobs: what trying a backup's way touches."""
    return touched(Backup.objects.get(pk=backup))


def has_begun(model: Any, pk: int) -> bool:
    """For jobs: whether the backup server is at it already."""
    return bool(model.objects.filter(pk=pk, begun=True).exists())
