"""Whose a job is: of those who operate what it touches; and whether it may still be begun when its turn comes."""

from importlib import import_module

import pytest
from django.apps import apps
from django.test import Client

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from accounts.streams import Watched, _over
from accounts.tokens import create_token
from jobs import works
from jobs.models import Job, JobState
from jobs.rights import note_touched
from jobs.services import run_again, start_job
from servers.models import Server
from tests.jobs.working import work_off
from tests.jobs.works import bench
from tests.keymanager.fleets import make_server

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@works.register("tests.on_servers", safe_to_repeat=True, again=True, touches=lambda servers: servers)
def on_servers(_run, *, servers: list[int]) -> None:
    bench.runs.append(len(servers))


@works.register(
    "tests.begun", safe_to_repeat=True, touches=lambda server: [server], begun=lambda server: True
)
def begun(_run, *, server: int) -> None:
    bench.runs.append(server)


@works.register("tests.by_rows", safe_to_repeat=True, touches=lambda server: [server], by_rows=True)
def by_rows(_run, *, server: int) -> None:
    bench.runs.append(server)


@pytest.fixture
def web1() -> Server:
    return Server.objects.create(name="web1", keymanager_name="web1")


@pytest.fixture
def web2() -> Server:
    return Server.objects.create(name="web2", keymanager_name="web2")


@pytest.fixture
def owner(web1) -> User:
    person = User.objects.create_user("olu", "correct horse battery")
    web1.owners.add(person)
    return person


def asked(person: User, *servers: Server, **more) -> Job:
    actor = Actor(person, person.username, token_id=more.pop("token_id", None))
    args = {"servers": [server.pk for server in servers]}
    return start_job(actor, "tests.on_servers", "On servers", args, **more)


def lose_the_server(person: User) -> None:
    person.owned_servers.clear()


def deactivate(person: User) -> None:
    User.objects.filter(pk=person.pk).update(is_active=False)


def delete(person: User) -> None:
    User.objects.filter(pk=person.pk).delete()


@pytest.mark.parametrize("lose", [lose_the_server, deactivate, delete])
def test_a_right_that_was_lost_between_asking_and_beginning_ends_the_job(owner, web1, lose):
    job = asked(owner, web1)
    lose(owner)
    work_off()
    job.refresh_from_db()
    assert (job.state, job.refused, bench.runs) == (JobState.FAILED, True, [])
    assert job.error == "olu may no longer operate what this concerns: it was not begun."
    entry = AuditEntry.objects.get(verb="job.refuse")
    assert (entry.object_id, entry.actor_name, (entry.after or {}).get("why")) == (
        str(job.pk),
        "olu",
        job.error,
    )


def test_an_admin_who_is_none_any_more_has_nothing_done(admin, web1):
    jobs = [asked(admin, web1), start_job(Actor(admin, "ada"), "tests.note", "For admins", {"number": 7})]
    User.objects.filter(pk=admin.pk).update(is_admin=False)
    work_off()
    assert {Job.objects.get(pk=job.pk).state for job in jobs} == {JobState.FAILED}
    assert bench.runs == []


def test_what_was_asked_by_a_token_that_was_revoked_is_not_begun(owner, web1):
    token = create_token(Actor(owner, "olu"), owner, name="export", days=1)[0]
    kept = asked(owner, web1, token_id=token.pk)
    work_off()
    gone = asked(owner, web1, token_id=token.pk)
    token.delete()
    work_off()
    kept.refresh_from_db()
    gone.refresh_from_db()
    assert (kept.state, gone.state) == (JobState.DONE, JobState.FAILED)


def test_the_right_is_asked_for_all_servers_and_at_every_attempt(owner, web1, web2):
    web2.owners.add(owner)
    job = asked(owner, web1, web2)
    web2.owners.remove(owner)
    work_off()
    assert Job.objects.get(pk=job.pk).state == JobState.FAILED


def test_who_asked_the_same_and_still_may_has_it_done(owner, admin, web1):
    first = asked(owner, web1, once=True)
    assert asked(admin, web1, once=True) == first
    lose_the_server(owner)
    work_off()
    assert (Job.objects.get(pk=first.pk).state, bench.runs) == (JobState.DONE, [1])


def test_what_has_begun_or_only_brings_about_the_rows_goes_on(owner, web1):
    for work in ("tests.begun", "tests.by_rows"):
        start_job(Actor(owner, "olu"), work, "Goes on", {"server": web1.pk})
    lose_the_server(owner)
    work_off()
    assert bench.runs == [web1.pk, web1.pk]


def test_the_panel_itself_may_do_everything(web1):
    start_job(Actor.system("scheduler"), "tests.on_servers", "By itself", {"servers": [web1.pk]})
    work_off()
    assert bench.runs == [1]


def visible(person: User) -> set[str]:
    return set(Job.objects.visible_to(person).values_list("title", flat=True))


def test_a_job_is_seen_by_who_operates_all_that_it_touches_whoever_asked(owner, admin, member, web1, web2):
    start_job(Actor(admin, "ada"), "tests.on_servers", "of web1", {"servers": [web1.pk]})
    start_job(Actor(admin, "ada"), "tests.on_servers", "of both", {"servers": [web1.pk, web2.pk]})
    start_job(Actor(owner, "olu"), "tests.note", "for admins", {})
    start_job(Actor(owner, "olu"), "jobs.check", "own mail", {})
    assert visible(owner) == {"of web1", "own mail"}
    assert visible(member) == set()
    assert visible(admin) == {"of web1", "of both", "for admins", "own mail"}
    web1.owners.set([member])
    assert visible(owner) == {"own mail"}
    assert visible(member) == {"of web1"}


def test_a_job_of_a_server_that_is_gone_is_for_admins(owner, admin, web1, web2):
    asked(owner, web1, web2)
    web2.owners.add(owner)
    web2.delete()
    assert visible(owner) == set()


def test_no_former_owner_runs_again_or_stops(owner, web1):
    job = asked(owner, web1)
    client = Client()
    client.force_login(owner)
    assert client.get(f"/jobs/{job.pk}/").status_code == 200
    lose_the_server(owner)
    for step in ("stop", "again", "acknowledge"):
        assert client.post(f"/jobs/{job.pk}/{step}/").status_code == 404
    job.refresh_from_db()
    assert job.state == JobState.WAITING


def test_a_job_that_is_run_again_touches_what_the_first_did(admin, owner, web1):
    job = asked(admin, web1)
    work_off()
    job.refresh_from_db()
    fresh = run_again(Actor(admin, "ada"), job)
    assert list(fresh.touches.values_list("server", flat=True)) == [web1.pk]
    assert Job.objects.visible_to(owner).filter(pk=fresh.pk).exists()


def test_every_work_says_what_it_touches_or_is_for_admins():
    told = {name for name, work in works._works.items() if work.touches and not name.startswith("tests.")}
    assert told == {
        "accounts.mail_link", "accounts.mail_asked_link", "accounts.mail_news", "jobs.check", "keymanager.fetch",
        "keymanager.keys_from_url",
        "servers.check", "servers.look", "servers.roll_out", "proxmox.power", "forwarding.what_answers",
        "forwarding.what_answers_for_hostname",
        "backups.run", "backups.read_folder", "backups.restore", "backups.verify", "backups.try_way",
    }  # fmt: skip


def test_an_open_stream_ends_with_the_server_that_it_tells_of(owner, web1):
    job = asked(owner, web1)
    client = Client()
    client.force_login(owner)
    stream = Watched(owner.pk, client.session.session_key, None, Job.objects.visible_to, job.pk)
    assert _over([stream]) == []
    lose_the_server(owner)
    assert _over([stream]) == [stream]


def test_the_rights_of_all_who_watch_are_asked_together(owner, web1, django_assert_max_num_queries):
    client = Client()
    client.force_login(owner)
    key = client.session.session_key
    jobs = [asked(owner, web1) for _ in range(40)]
    others = start_job(Actor(owner, "olu"), "tests.note", "for admins", {})
    streams = [Watched(owner.pk, key, None, Job.objects.visible_to, job.pk) for job in [*jobs, others]]
    with django_assert_max_num_queries(3):
        assert _over(streams) == [streams[-1]]


def test_jobs_of_before_are_the_servers_owners_or_else_for_admins(owner, web1):
    old = {"actor_name": "olu", "owner": owner}
    Job.objects.create(work="servers.check", title="of web1", args={"server": web1.pk}, **old)
    Job.objects.create(work="servers.check_all", title="of all", args={"everyone": True}, **old)
    Job.objects.create(work="backups.run", title="of a backup", args={"backup_run": 1}, **old)
    import_module("jobs.migrations.0003_rights").note_servers(apps, None)
    assert visible(owner) == {"of web1"}


def test_which_servers_a_job_touches_is_kept():
    server = make_server("touched1")
    job = Job.objects.create(work="servers.check", title="a", args={})
    note_touched(job, {server.pk})
    assert list(job.touches.values_list("server", flat=True)) == [server.pk]
