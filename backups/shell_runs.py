"""What runs and sets show on the pages of others. How each backup stands, shell_plans tells."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import user_of
from backups.models import BackupSet, SetState
from pages.registry import Hit, Notice, Section

MOST_HITS = 5
TROUBLES = {
    SetState.FAILED: gettext_lazy("The set %(set)s did not end well. %(words)s"),
    SetState.NOT_STARTED: gettext_lazy("The set %(set)s was not started. %(words)s"),
}


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Sets whose last run did not go well."""
    for set_ in BackupSet.objects.visible_to(user_of(request)).with_last():
        if set_.last_state in TROUBLES:
            words = TROUBLES[SetState(set_.last_state)] % {"set": set_, "words": set_.last_words}
            yield Notice("danger", words, set_.get_absolute_url())


def search(request: HttpRequest, words: str) -> Iterable[Hit]:
    """Sets by name."""
    found = BackupSet.objects.visible_to(user_of(request))
    for word in words.split():
        found = found.filter(name__icontains=word)
    for set_ in found[:MOST_HITS]:
        yield Hit(_("Backup set"), set_.name, set_.get_absolute_url())


section = Section("backup sets", attention=attention, search=search)
