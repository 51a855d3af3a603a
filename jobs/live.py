"""Jobs that go on while a page is made: it shows them as live, and so comes anew at their end.

A page reads rows first and asks for the job that changes them later. If the job ended in between, the rows are those
of before, and without the job nothing would ever bring the new ones: for such a page, the job has not ended yet.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from jobs.models import ENDED, Job, JobQuerySet

AHEAD = timedelta(seconds=2)
"""An end later than that is of a worker whose clock is ahead: it would be news again and again."""


class BeganMiddleware:
    """Notes as `request.began` when a request came in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, with the time noted."""
        request.began = timezone.now()  # type: ignore[attr-defined]  # for what pages ask below
        return self.get_response(request)


def _meanwhile(request: HttpRequest) -> tuple[datetime, datetime]:
    """From when the request came in (now, where it passed no middleware) to now."""
    now = timezone.now()
    return getattr(request, "began", now), now + AHEAD


def live(request: HttpRequest, jobs: JobQuerySet) -> Job | None:
    """The newest of these jobs that goes on, or did when the request came in."""
    goes_on = ~Q(state__in=ENDED) | Q(ended_at__range=_meanwhile(request))
    return jobs.filter(goes_on).order_by("-pk").first()


def is_over(job: Job, request: HttpRequest) -> bool:
    """Whether a job had ended before the request came in, so that all of the page knows of it."""
    first, last = _meanwhile(request)
    return job.ended and not (job.ended_at and first <= job.ended_at <= last)
