"""The rows of this room, by noun."""

from backups.models.plans import Backup, BackupQuerySet, LeftData, Level
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
    "Hold",
    "LeftData",
    "Level",
    "RunState",
    "SetState",
    "Why",
]
