"""What jobs show in the shell."""

from collections.abc import Iterable

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.permissions import user_of
from jobs.health import health
from jobs.models import Job, JobQuerySet, JobState
from pages.registry import Card, Hit, NavItem, Notice, Section


def _mine(request: HttpRequest) -> JobQuerySet:
    return Job.objects.visible_to(user_of(request))


def _card(request: HttpRequest) -> Card | None:
    jobs = _mine(request)
    busy = list(jobs.filter(state__in=[JobState.RUNNING, JobState.WAITING]).order_by("-state", "-pk")[:5])
    recent = list(jobs.exclude(ended_at=None).order_by("-ended_at")[:5])
    if not busy and not recent:
        return None
    return Card("jobs/_card.html", {"busy": busy, "recent": recent[: max(1, 5 - len(busy))]}, order=80)


def _attention(request: HttpRequest) -> Iterable[Notice]:
    bad = list(_mine(request).unacknowledged().order_by("-ended_at")[:4])
    for job in bad[:3]:
        word = job.get_state_display()
        yield Notice("warning", f"{job.title}: {word}", job.get_absolute_url())
    if len(bad) > 3:
        count = _mine(request).unacknowledged().count() - 3
        text = ngettext("%d more job went wrong", "%d more jobs went wrong", count) % count
        yield Notice("warning", text, f"{reverse('jobs:list')}?state=trouble")


def _search(request: HttpRequest, words: str) -> Iterable[Hit]:
    rows = _mine(request)
    for word in words.split():
        rows = rows.filter(title__icontains=word)
    for job in rows[:5]:
        yield Hit(_("Job"), f"{job.title} ({job.get_state_display()})", job.get_absolute_url())


section = Section(
    "jobs",
    nav=(NavItem(_("Jobs"), "jobs:list", "list-check", order=80, admin_only=False),),
    card=_card,
    attention=_attention,
    search=_search,
    health=health,
)
