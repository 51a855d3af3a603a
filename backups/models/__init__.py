"""The rows of this room, by noun."""

from backups.models.plans import Backup, BackupQuerySet, LeftData, Level

__all__ = ["Backup", "BackupQuerySet", "LeftData", "Level"]
