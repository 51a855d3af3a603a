"""What this room tells of restores and verifications."""

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from backups import rights
from backups.models import Restore, TaskState, Verification
from jobs.rights import may_operate
from notifications.registry import Topic
from notifications.telling import tell

RESTORED = Topic("backups.restored", gettext_lazy("A restore has ended"), order=25)
NOT_VERIFIED = Topic("backups.not_verified", gettext_lazy("A copy could not be verified"), order=26)
TOPICS = (RESTORED, NOT_VERIFIED)
WRONG = (TaskState.FAILED, TaskState.INCOMPLETE, TaskState.LOST)


def tell_task(task: Restore | Verification) -> None:
    """A restore or a verification has ended. Of one that somebody stopped, nobody is told."""
    if isinstance(task, Restore) and (task.state == TaskState.DONE or task.state in WRONG):
        words = {"what": task, "server": task.target, "state": task.get_state_display()}
        title = _("Restore of %(what)s to %(server)s: %(state)s") % words
        tell(RESTORED.name, title, task.error, path=task.get_absolute_url(), may_see=_may_see(task))
    elif isinstance(task, Verification) and task.state in WRONG:
        title = _("The copies of %s could not be verified.") % task.backup
        tell(NOT_VERIFIED.name, title, task.error, path=task.get_absolute_url(), may_see=_may_see(task))


def _may_see(task: Restore | Verification) -> Callable[[User], bool]:
    return lambda person: may_operate(person, rights.touched(task))
