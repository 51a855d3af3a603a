"""What other rooms want to know of jobs: their end, and what is worth a mail or a web hook."""

import logging
from collections.abc import Callable

from jobs.models import Job

log = logging.getLogger(__name__)
Hook = Callable[[Job], None]
_on_end: list[Hook] = []
_notify: list[Hook] = []


def on_end(hook: Hook) -> Hook:
    """Call `hook(job)` when a job has ended for good, in the process where it ended, after the commit."""
    if hook not in _on_end:
        _on_end.append(hook)
    return hook


def on_trouble(hook: Hook) -> Hook:
    """Call `hook(job)` when a job has failed or was lost for good: the place for mails and web hooks."""
    if hook not in _notify:
        _notify.append(hook)
    return hook


def ended(job: Job) -> None:
    """Tell all hooks; one that fails is logged and does not keep the others from being told."""
    hooks = [*_on_end, *(_notify if job.needs_look else ())]
    for hook in hooks:
        try:
            hook(job)
        except Exception:  # a hook of any room; the job has ended whatever it does
            log.exception("A hook failed after job %s had ended", job.pk)
