"""The rows of this room, by noun."""

from backups.models.plans import Backup, BackupQuerySet, LeftData, Level, VerifyEvery
from backups.models.restores import CopyFolder, Restore, TaskState, Verification
from backups.models.runs import BackupRun, BackupState, Hold, RunState, Why
from backups.models.sets import BackupSet, BackupSetMember, BackupSetPart, BackupSetRun, SetState

__all__ = [
    "Backup",
    "BackupQuerySet",
    "BackupRun",
    "BackupSet",
    "BackupSetMember",
    "BackupSetPart",
    "BackupSetRun",
    "BackupState",
    "CopyFolder",
    "Hold",
    "LeftData",
    "Level",
    "Restore",
    "RunState",
    "SetState",
    "TaskState",
    "Verification",
    "VerifyEvery",
    "Why",
]
