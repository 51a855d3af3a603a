"""A job that ends while a page is made: the page shows it as live, and so comes anew, with what the job has found."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.utils import timezone

from jobs.live import is_over, live
from jobs.models import Job
from proxmox.models import Offer
from proxmox.services.create import READ_OFFER
from servers.models import Server
from tests.jobs.test_pages import make, page

pytestmark = pytest.mark.django_db
NOW = timedelta()
SOON, LATELY = timedelta(minutes=5), timedelta(minutes=-5)


@pytest.mark.parametrize(
    ("state", "ended", "shown"),
    [
        ("waiting", None, True),
        ("running", None, True),
        ("done", LATELY, False),
        ("done", NOW, True),
        ("failed", NOW, True),
        ("stopped", LATELY, False),
        ("lost", None, False),
        ("done", SOON, False),  # a worker's clock is ahead
    ],
)
def test_what_ended_before_the_request_came_in_is_over(state, ended, shown):
    request = RequestFactory().get("/")
    request.began = timezone.now()  # type: ignore[attr-defined]
    job = make(state=state, ended_at=None if ended is None else timezone.now() + ended)
    assert live(request, Job.objects.all()) == (job if shown else None)
    assert is_over(job, request) is not shown


def test_the_newest_is_shown():
    request = RequestFactory().get("/")
    make(state="running"), make(state="done", ended_at=timezone.now() + LATELY)
    newest = make(state="waiting")
    assert live(request, Job.objects.all()) == newest


@contextmanager
def just_before(table: str, act: Callable[[], object]) -> Iterator[None]:
    """Have `act` done once, as by another process, before the first statement that reads this table."""
    waiting = [act]

    def look(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if waiting and f'FROM "{table}"' in sql:
            waiting.pop()()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(look):
        yield


def test_a_page_that_was_read_as_its_job_ended_comes_anew(admin_client):
    host = Server.objects.create(
        name="pve1", keymanager_name="pve1", is_proxmox=True, proxmox_node="pve1", external_interface="vmbr0"
    )
    job = make(work=READ_OFFER, subject_type="servers.server", subject_id=str(host.pk), state="running")

    def end() -> None:
        now = timezone.now()
        storages = [["local-lvm", "lvmthin", 10**11]]
        Offer.objects.create(
            host=host, templates=[["local:vztmpl/debian-12-lab", 1]], storages=storages, read_at=now
        )
        Job.objects.filter(pk=job.pk).update(state="done", ended_at=now)

    url = f"/proxmox/containers/new/?host={host.pk}"
    with just_before("jobs_job", end):
        shown = page(admin_client, url)
    assert "debian-12-lab" not in shown
    assert f'data-job-stream="/jobs/{job.pk}/stream"' in shown
    assert "data-ended" not in shown
    shown = page(admin_client, url)
    assert "debian-12-lab" in shown
    assert "data-job-stream" not in shown
