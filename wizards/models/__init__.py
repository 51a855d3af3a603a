"""The rows of this room, one noun a file."""

from wizards.models.runs import (
    ACTIVE,
    ENDED,
    HALTED,
    UNTOUCHED,
    RunState,
    TaskState,
    WizardRun,
    WizardTask,
)

__all__ = ["ACTIVE", "ENDED", "HALTED", "UNTOUCHED", "RunState", "TaskState", "WizardRun", "WizardTask"]
