from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.actors import Actor
from jobs.models import Job, JobLine, JobStep
from jobs.services import start_job

pytestmark = pytest.mark.django_db
JSON = {"Accept": "application/json"}


def make(owner=None, **fields) -> Job:
    return Job.objects.create(
        **{"work": "tests.careful", "title": "Check web1", "owner": owner, "actor_name": "ada", **fields}
    )


def page(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_admin_sees_all_jobs_and_a_member_his_own(admin_client, member_client, member):
    make(title="of the panel"), make(member, title="of mel", reach="asker")
    assert [row["title"] for row in admin_client.get("/jobs/", headers=JSON).json()["rows"]] == [
        "of mel",
        "of the panel",
    ]
    assert [row["title"] for row in member_client.get("/jobs/", headers=JSON).json()["rows"]] == ["of mel"]


@pytest.mark.parametrize("accept", ["text/event-stream", "text/html", "*/*"])
def test_who_may_not_follow_a_job_is_told_so_and_led_to_no_page(client, member_client, accept):
    url = f"/jobs/{make().pk}/stream"
    for who, status in ((client, 401), (member_client, 404)):
        answer = who.get(url, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")


def test_the_list_narrows_by_state_and_owner(admin_client, admin):
    make(title="a", state="failed"), make(title="b", state="lost", acknowledged_at=timezone.now())
    make(admin, title="c")
    for query, titles in {
        "state=trouble": ["a"],
        "state=lost": ["b"],
        f"owner={admin.pk}": ["c"],
        "owner=panel": ["b", "a"],
        "q=b": ["b"],
    }.items():
        rows = admin_client.get(f"/jobs/?{query}", headers=JSON).json()["rows"]
        assert [row["title"] for row in rows] == titles, query


def test_the_list_costs_the_same_however_long_it_is(
    admin_client, django_assert_max_num_queries, django_assert_num_queries
):
    for number in range(3):
        make(title=str(number))
    with django_assert_max_num_queries(15) as few:
        page(admin_client, "/jobs/")
    for number in range(30):
        make(title=str(number), state="failed", error="x")
    with django_assert_num_queries(len(few)):
        page(admin_client, "/jobs/")


def test_a_job_page_tells_everything_without_scripts(admin_client, admin):
    job = make(admin, state="running", started_at=timezone.now(), done_units=1, total_units=4)
    step = JobStep.objects.create(job=job, number=1, name="Reach the host", state="running")
    JobLine.objects.create(job=job, step=step, text="<b>connecting</b>", stream="out")
    text = page(admin_client, f"/jobs/{job.pk}/")
    assert "Reach the host" in text
    assert "&lt;b&gt;connecting" in text
    assert 'value="25"' in text
    assert '<noscript><meta http-equiv="refresh"' in text
    assert "Stop</button>" in text


def test_a_job_about_something_links_to_it(admin_client, admin, member):
    job = make(admin, subject_type="accounts.user", subject_id=str(member.pk))
    assert f'href="{member.get_absolute_url()}"' in page(admin_client, f"/jobs/{job.pk}/")
    gone = make(admin, subject_type="gone.model", subject_id="1")
    page(admin_client, f"/jobs/{gone.pk}/")


def test_an_ended_job_does_not_reload_and_offers_what_may_be_done(admin_client):
    job = make(state="failed", ended_at=timezone.now(), error="web1 does not answer")
    text = page(admin_client, f"/jobs/{job.pk}/")
    assert "http-equiv" not in text
    assert "Run again" in text
    assert "I have seen it" in text
    assert "Stop</button>" not in text


def test_the_live_part_stands_in_any_page(admin):
    from django.template.loader import render_to_string

    job = make(admin, state="running")
    JobLine.objects.create(job=job, text="hello")
    text = render_to_string("jobs/_live.html", {"job": job})
    assert f"/jobs/{job.pk}/stream" in text
    assert "hello" in text


def test_stop_again_and_acknowledge_work_by_page_and_by_json(admin_client, admin):
    job = start_job(Actor(admin, "ada"), "tests.careful", "x")
    assert admin_client.post(f"/jobs/{job.pk}/stop/").status_code == 302
    assert admin_client.post(f"/jobs/{job.pk}/stop/", headers=JSON).status_code == 409
    Job.objects.filter(pk=job.pk).update(state="failed")
    answer = admin_client.post(f"/jobs/{job.pk}/acknowledge/", headers=JSON).json()
    assert answer["ok"]
    assert not Job.objects.unacknowledged().exists()
    fresh = admin_client.post(f"/jobs/{job.pk}/again/", headers=JSON).json()
    assert Job.objects.get(pk=fresh["id"]).state == "waiting"


def test_a_member_may_stop_his_own_but_not_run_again_what_only_admins_may(member_client, member):
    job = start_job(Actor(member, "mel"), "jobs.check", "x")
    assert member_client.post(f"/jobs/{job.pk}/stop/").status_code == 302
    assert member_client.post(f"/jobs/{job.pk}/again/", headers=JSON).status_code == 409


def test_others_jobs_do_not_exist_for_a_member(member_client, admin):
    job = make(admin)
    for part in ("", "stream"):
        assert member_client.get(f"/jobs/{job.pk}/{part}").status_code == 404
    for part in ("stop/", "again/", "acknowledge/"):
        assert member_client.post(f"/jobs/{job.pk}/{part}").status_code == 404


def test_the_worker_is_tested_from_the_page(admin_client):
    answer = admin_client.post("/jobs/test/", headers=JSON).json()
    assert Job.objects.get(pk=answer["id"]).work == "jobs.check"


def test_what_went_wrong_asks_for_attention_until_it_was_seen(admin_client):
    for number in range(5):
        make(title=f"job {number}", state="failed", ended_at=timezone.now())
    text = page(admin_client, "/")
    assert "job 4: failed" in text
    assert "2 more jobs went wrong" in text
    admin_client.post("/jobs/acknowledge/")
    assert "job 4: failed" not in page(admin_client, "/")


def test_what_went_wrong_weeks_ago_stays_until_it_was_seen(admin_client):
    job = make(title="a job", state="failed", ended_at=timezone.now() - timedelta(days=30))
    assert "a job: failed" in page(admin_client, "/")
    admin_client.post(f"/jobs/{job.pk}/acknowledge/")
    assert "a job: failed" not in page(admin_client, "/")


def test_a_search_finds_jobs_by_their_title(admin_client, member_client):
    job = make(title="Check web1.example.org")
    assert job.get_absolute_url() in page(admin_client, "/search/?q=web1")
    assert job.get_absolute_url() not in page(member_client, "/search/?q=web1")
