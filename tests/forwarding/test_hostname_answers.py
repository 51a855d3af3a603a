"""Asking what answers for a hostname, and what its page says of it."""

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from forwarding.answering import Answer
from forwarding.answering_hostnames import verdict
from forwarding.models import HostnameForward
from forwarding.services.hostnames import create_hostname
from jobs.models import Job
from tests.forwarding.conftest import HostnameRows

pytestmark = pytest.mark.django_db


@pytest.fixture
def row(web: HostnameRows, actor) -> HostnameForward:
    return create_hostname(actor, web.hostname(), web.to(web.web1, web.web2))


def test_asking_starts_one_job_and_is_in_the_audit_trail(admin_client, row):
    for _ in range(2):
        answer = admin_client.post(f"/forwarding/hostnames/{row.pk}/answers/")
        assert answer.status_code == 302
    (job,) = Job.objects.filter(work="forwarding.what_answers_for_hostname")
    assert job.subject_id == str(row.pk)
    assert AuditEntry.objects.filter(verb="hostname.ask").exists()
    page = admin_client.get(f"/forwarding/hostnames/{row.pk}/").content.decode()
    assert f"/jobs/{job.pk}/" in page


def test_the_page_shows_each_step_and_where_the_way_breaks(admin_client, row):
    answers = [
        {"step": "guest", "ok": True, "words": "web1 listens on *:80."},
        {"step": "guest", "ok": False, "words": "Nothing listens on TCP 80 in web2."},
        {"step": "nginx", "ok": True, "words": "nginx answers: 200 OK (2 ms)."},
        {"step": "outside", "ok": False, "words": "<b>It</b> does not answer."},
    ]
    HostnameForward.objects.filter(pk=row.pk).update(answers=answers, answers_at=timezone.now())
    page = admin_client.get(f"/forwarding/hostnames/{row.pk}/").content.decode()
    assert "&lt;b&gt;It&lt;/b&gt; does not answer.</p>" in page
    assert "Nothing listens on TCP 80 in web2." in page
    told = admin_client.get(f"/forwarding/hostnames/{row.pk}/", headers={"Accept": "application/json"}).json()
    assert told["answers"] == answers


def test_the_owner_of_all_destinations_may_ask_of_some_or_none_may_not(member_client, member, row, web):
    url = f"/forwarding/hostnames/{row.pk}/answers/"
    assert member_client.post(url).status_code == 404
    first, *others = [one.server for one in row.destinations.all()]
    first.owners.add(member)
    assert others
    assert member_client.post(url).status_code == 404  # it would look inside the others
    for server in others:
        server.owners.add(member)
    assert member_client.post(url).status_code == 302
    assert member_client.get(url).status_code == 405


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ({"guest": True, "nginx": True, "outside": True, "name": True}, "It answers all the way."),
        ({"guest": None, "nginx": None, "outside": None}, "Everything that could be tried"),
        ({"guest": False, "nginx": False}, "guest"),
        (
            {"guest": False, "nginx": True, "outside": True},
            "It answers, but not from every destination: guest",
        ),
        ({"guest": True, "nginx": True, "outside": True, "name": False}, "name"),
        ({"guest": False, "nginx": True, "outside": False}, "outside"),
    ],
)
def test_the_verdict_is_the_innermost_step_that_breaks_the_way(steps, told):
    assert verdict(Answer(step, ok, step) for step, ok in steps.items()).startswith(told)
