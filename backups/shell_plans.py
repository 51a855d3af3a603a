"""What backups show on the pages of others, and their kind of rollout."""

from collections import Counter
from collections.abc import Iterable

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.permissions import user_of
from backups import desired_sources
from backups.desired_plans import KIND, desired, does
from backups.models import Backup
from backups.results import Summary, summaries
from backups.services.plans import suggested
from backups.standing import Standing
from backups.watching_plans import (
    host_keys_changed,
    server_changed,
    server_folders,
    server_holds,
    unix_user_holds,
)
from pages.registry import Card, Hit, NavItem, Notice, Section, Step
from servers.models import Server
from servers.registry import Panel, RolloutKind, ServerPart

MOST_HITS = 8
REASON = 160  # characters
MOST_ROWS = 12
BY_NAME = 5  # so many of one trouble are named on the dashboard; more are counted

TROUBLES = {
    Standing.HELD: gettext_lazy("The backup of %s is held, before any copy was given up."),
    Standing.FAILED: gettext_lazy("The backup of %s failed."),
    Standing.OVERDUE: gettext_lazy("The backup of %s is stale."),
    Standing.NEVER: gettext_lazy("The backup of %s has never run."),
}


def _all_of(request: HttpRequest) -> tuple[list[Backup], dict[int, Summary]]:
    """The backups that the user may see, read once a request: card and notices show the same."""
    found = getattr(request, "_backups", None)
    if found is None:
        rows = list(Backup.objects.visible_to(user_of(request)).select_related("source", "destination"))
        found = (rows, summaries(rows))
        request._backups = found  # type: ignore[attr-defined]
    return found


def card(request: HttpRequest) -> Card | None:
    """Backups by how they stand; green means that everything is right."""
    rows, stands = _all_of(request)
    if not rows and not user_of(request).is_admin:
        return None
    counts = Counter(summary.standing for summary in stands.values())
    context = {
        "total": len(rows),
        "standings": [(one, counts[one]) for one in Standing if counts[one]],
        "unproved": sum(summary.unproved for summary in stands.values()),
        "all_good": bool(rows) and not any(summary.red for summary in stands.values()),
    }
    return Card("backups/_card.html", context, order=30)


def attention(request: HttpRequest) -> Iterable[Notice]:
    """Backups that are not right, the worst first."""
    rows, stands = _all_of(request)
    for trouble, text in TROUBLES.items():
        found = [row for row in rows if stands[row.pk].standing == trouble]
        for row in found[:BY_NAME]:
            words = " ".join(filter(None, [text % row, _reason(stands[row.pk])]))
            yield Notice("danger", words, row.get_absolute_url())
        if more := len(found[BY_NAME:]):
            words = ngettext("and %d more backup", "and %d more backups", more) % more
            yield Notice(
                "danger", f"{words}: {trouble.label}", f"{reverse('backups:backups')}?state={trouble.value}"
            )

    for row in [row for row in rows if stands[row.pk].again][:BY_NAME]:
        again = stands[row.pk].again
        if again:
            words = _("The backup of %(backup)s did not come about. %(again)s")
            yield Notice(
                "warning", words % {"backup": row, "again": again.again_words}, row.get_absolute_url()
            )


def _reason(summary: Summary) -> str:
    """Why the last run failed, or is held, cut to what a line of the dashboard takes."""
    if summary.last is None or summary.standing not in (Standing.HELD, Standing.FAILED):
        return ""
    return Truncator(summary.why).chars(REASON)


def first_steps(_request: HttpRequest) -> Iterable[Step]:
    """A backup, once there are servers."""
    yield Step(
        _("Back up your first server"),
        Backup.objects.exists(),
        reverse("backups:new_backup"),
        _("Choose a backup server; it copies the others by SSH."),
        order=60,
    )


def search(request: HttpRequest, words: str) -> Iterable[Hit]:
    """Backups by server, folder or note."""
    rows = Backup.objects.visible_to(user_of(request)).select_related("source", "destination")
    for word in words.split():
        rows = rows.filter(
            Q(source__name__icontains=word)
            | Q(source_folder__icontains=word)
            | Q(destination__name__icontains=word)
            | Q(destination_folder__icontains=word)
            | Q(note__icontains=word)
        )
    for row in rows[:MOST_HITS]:
        yield Hit(gettext_lazy("Backup"), f"{row} → {row.destination}", row.get_absolute_url())


section = Section(
    "backups",
    nav=(NavItem(gettext_lazy("Backups"), "backups:backups", "database", order=50, admin_only=False),),
    card=card,
    attention=attention,
    first_steps=first_steps,
    search=search,
)


def server_panel(request: HttpRequest, server: Server) -> Panel | None:
    """The backups from a server and to it, and a button that backs it up."""
    rows = Backup.objects.visible_to(user_of(request)).select_related("source", "destination")
    backups_from = list(rows.filter(source=server))
    backups_to = list(rows.filter(destination=server))
    admin = user_of(request).is_admin
    others = Backup.objects.filter(destination=server).count() - len(backups_to)
    if not (backups_from or backups_to or others or admin):
        return None
    stands = summaries([*backups_from, *backups_to])
    context = {
        "server": server,
        "parts": [
            (direction, [(row, stands[row.pk]) for row in found[:MOST_ROWS]], len(found))
            for direction, found in (("from", backups_from), ("to", backups_to))
            if found
        ],
        "most": MOST_ROWS,
        "others": others,
        "computed": suggested(server) if admin and not backups_from and not backups_to else None,
        "can_add": admin and not backups_to,
    }
    return Panel("backups/_server_backups.html", context, order=40)


server_part = ServerPart(
    "backups",
    kinds=(
        RolloutKind(
            desired_sources.KIND,
            gettext_lazy("Read by sudo"),
            desired_sources.desired,
            order=39,
            needs_admin=True,
            does=desired_sources.does,
        ),
        RolloutKind(KIND, gettext_lazy("Backups"), desired, order=40, needs_admin=True, does=does),
    ),
    panel=server_panel,
    holds=server_holds,
    folders=server_folders,
    unix_user_holds=unix_user_holds,
    changed=server_changed,
    host_keys_changed=host_keys_changed,
)
