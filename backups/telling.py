"""What this room tells those who asked to hear of it: its topics, and how runs and sets end."""

from collections.abc import Callable

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from backups.models import Backup, BackupRun, BackupSetRun, RunState, SetState
from backups.models.runs import WRONG
from notifications.registry import Topic
from notifications.telling import tell
from pages.templatetags.pages_tags import binary_size

RUN_DONE = Topic("backups.run_done", gettext_lazy("A backup was made"), order=20)
RUN_WRONG = Topic("backups.run_wrong", gettext_lazy("A backup failed, is incomplete or is held"), order=21)
STALE = Topic("backups.stale", gettext_lazy("A backup has become stale, or is well again"), order=22)
SET_DONE = Topic("backups.set_done", gettext_lazy("A set of backups has ended"), order=23)
SET_NOT_STARTED = Topic("backups.set_not_started", gettext_lazy("A set of backups was not started"), order=24)
TOPICS = (RUN_DONE, RUN_WRONG, STALE, SET_DONE, SET_NOT_STARTED)


def visible(backup: Backup) -> Callable[[User], bool]:
    """Whether a person may hear of this backup."""
    return lambda person: Backup.objects.visible_to(person).filter(pk=backup.pk).exists()


def told(run: BackupRun) -> str:
    """How a run ended, in a sentence."""
    begin = {
        RunState.HELD: _("The backup %(backup)s is held, and nothing was rotated. %(words)s"),
        RunState.INCOMPLETE: _("The backup %(backup)s is incomplete. %(words)s"),
    }.get(RunState(run.state), _("The backup %(backup)s did not work. %(words)s"))
    return " ".join(filter(None, [begin % {"backup": run.backup, "words": run.error}, run.again_words]))


def tell_run(run: BackupRun) -> None:
    """A run has ended. Of one that somebody stopped, nobody is told."""
    words = {"backup": run.backup, "state": run.get_state_display()}
    path = run.get_absolute_url()
    if run.state == RunState.DONE:
        tell(
            RUN_DONE.name,
            _("Backup of %(backup)s: done") % words,
            _figures(run),
            path=path,
            may_see=visible(run.backup),
        )
    elif run.state in WRONG:
        text = f"{run.hold}.\n{run.error}" if run.hold else run.error
        title = _("Backup of %(backup)s: %(state)s") % words
        tell(RUN_WRONG.name, title, text, path=path, may_see=visible(run.backup))


def _figures(run: BackupRun) -> str:
    lines = [_("Copied to %(folder)s on %(server)s in %(took)s.") % {
        "folder": run.backup.destination_folder, "server": run.backup.destination, "took": run.took,
    }]  # fmt: skip
    if run.bytes is not None and run.bytes_transferred is not None:
        lines.append(
            _("%(files)d files, %(size)s; transferred: %(moved)s.")
            % {
                "files": run.files or 0,
                "size": binary_size(run.bytes),
                "moved": binary_size(run.bytes_transferred),
            }
        )
    return "\n".join(lines)


def tell_set(run: BackupSetRun) -> None:
    """A set's run has ended, or could not start. Of one that somebody stopped, nobody is told."""
    words = {"set": run.set, "state": run.get_state_display()}
    topic = SET_NOT_STARTED if run.state == SetState.NOT_STARTED else SET_DONE
    if run.state != SetState.STOPPED:
        title = _("Backup set %(set)s: %(state)s") % words
        tell(topic.name, title, _of_set(run), path=run.set.get_absolute_url())


def _of_set(run: BackupSetRun) -> str:
    parts = run.parts.select_related("backup__source", "run").order_by("position")
    lines = [
        f"{part.backup}: {part.run.get_state_display() if part.run else _('did not run')}" for part in parts
    ]
    return "\n".join([run.words, *lines] if run.words else lines)
