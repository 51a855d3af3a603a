"""What restores and verifications show on the pages of others."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.permissions import user_of
from backups.models import Backup, Restore, TaskState
from backups.verifying import verified
from pages.registry import Notice, Section

BY_NAME = 5


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Backups whose verification failed or is overdue; restores that wait for a word."""
    rows = list(Backup.objects.visible_to(user_of(request)).filter(active=True).select_related("source"))
    found = verified(rows)
    red = [row for row in rows if found[row.pk].red]
    for row in red[:BY_NAME]:
        text = _("The copies of %s could not be verified.") if found[row.pk].failed else _(
            "The copies of %s have not been verified for too long."
        )  # fmt: skip
        yield Notice("danger", text % row, row.get_absolute_url())
    if more := len(red[BY_NAME:]):
        words = ngettext("and %d more backup: not verified", "and %d more backups: not verified", more) % more
        yield Notice("danger", words, f"{reverse('backups:backups')}?state=unproved")
    running = Restore.objects.visible_to(user_of(request)).filter(state=TaskState.RUNNING)
    for restore in running.select_related("backup__source", "target")[:BY_NAME]:
        words = _("%(what)s is being restored to %(server)s.") % {"what": restore, "server": restore.target}
        yield Notice("info", words, restore.get_absolute_url())


section = Section("restores", attention=attention)
