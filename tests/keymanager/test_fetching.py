"""Setting servers up to fetch, telling them to, and what follows from other changes."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from threading import Barrier
from time import monotonic

import pytest
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry
from hosts.errors import Unreachable
from hosts.host import Result
from hosts.memory import MemoryHost
from hosts.state import File
from jobs.masking import Masker
from jobs.models import Job, JobState
from jobs.run import Run
from keymanager import fetching, live, pushing, reports, signing, tokens
from keymanager.answers import contents
from keymanager.desired import CONF, KIND, SCRIPT
from keymanager.fetch_states import Fetching, fetch_states
from keymanager.lockout import LockedOut
from keymanager.models import FetchReport, FetchToken, KeySetRevision, SigningKey
from keymanager.protocol import STALE_HOURS
from keymanager.registration_fetch import server_changed
from keymanager.revisions import touch
from pages.second_word import second_word
from servers.facts import facts_of
from servers.models import Rollout, Server
from tests.keymanager.fetchers import ACTOR, fetching_server, let_in
from tests.keymanager.fleets import make_server
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.django_db, pytest.mark.services]
HOSTS: dict[str, MemoryHost] = {}


class MemoryTransport:
    """Reaches the hosts in HOSTS, and no others."""

    @contextmanager
    def connect(self, _target, name: str):
        if name not in HOSTS:
            raise Unreachable(name, "no route")
        yield HOSTS[name]


@pytest.fixture(autouse=True)
def in_memory(settings):
    settings.SERVERS_TRANSPORT = "tests.keymanager.test_fetching.MemoryTransport"
    HOSTS.clear()


def revision(name: str) -> int:
    return KeySetRevision.objects.get(name=name).revision


def pushes() -> int:
    return Job.objects.filter(work=pushing.PUSH, state=JobState.WAITING).count()


def run_of(work: str) -> Run:
    return Run(Job.objects.create(work=work, title="x", actor_name="x"), Masker())


def reported(server: Server, **fields) -> FetchReport:
    return FetchReport.objects.create(
        server=server, **{"fetched_at": timezone.now(), "status": 200, **fields}
    )


def test_a_server_is_set_up_with_a_token_of_its_own_and_a_rollout() -> None:
    server = make_server("web1")
    assert fetching.desired(server) is None
    token = fetching.install(ACTOR, server)
    state = fetching.desired(server)
    assert state is not None
    conf = next(item for item in state.items if isinstance(item, File) and item.path == CONF)
    assert f"token={token.secret}\n".encode() in conf.content
    assert Rollout.objects.get(server=server).kind == KIND
    assert fetching.install(ACTOR, server).pk == token.pk
    assert token.secret in fetching.install_script(server) or "base64" in fetching.install_script(server)
    assert not any(token.secret in str(entry.after) for entry in AuditEntry.objects.all())


def test_taken_away_the_token_ends_and_nothing_is_to_be_held() -> None:
    server = make_server("web1")
    fetching.install(ACTOR, server)
    assert fetching.uninstall(ACTOR, server) is None
    assert fetching.desired(server) is None
    assert tokens.load_table() == {}
    assert Rollout.objects.get(server=server).wanted == 2


def test_what_a_server_that_fetches_no_more_holds_is_told(admin_client) -> None:
    server, _token = fetching_server("web1")
    page = reverse("keymanager:server", args=[server.pk])
    reported(server)
    fetching.uninstall(ACTOR, server)
    assert "what it fetched last may still be there" in admin_client.get(page).content.decode()
    FetchReport.objects.all().delete()
    assert "is not on it yet" in admin_client.get(page).content.decode()


def test_taking_the_keys_away_comes_first_and_needs_the_server() -> None:
    server = make_server("web1")
    fetching.install(ACTOR, server)
    job = fetching.uninstall(ACTOR, server, take_keys=True)
    assert job is not None
    with pytest.raises(pushing.FetchFailed, match="web1"):
        fetching.forget(Run(job, Masker()), **job.args)
    assert FetchToken.objects.filter(server=server).exists()


def test_taking_the_keys_away_is_asked_about_where_they_are_the_way_in() -> None:
    server = make_server("web1", "root")
    let_in(server, "ada")
    fetching.install(ACTOR, server)
    with pytest.raises(LockedOut) as told:
        fetching.uninstall(ACTOR, server, take_keys=True)
    assert told.value.nobody == ["web1"]
    with second_word():
        assert fetching.uninstall(ACTOR, server, take_keys=True)
    assert fetching.uninstall(ACTOR, server) is None  # they stay


def test_a_second_replacement_keeps_the_token_the_host_has() -> None:
    server, first = fetching_server("web1")
    fetching.rotate_token(ACTOR, server)
    second = fetching.rotate_token(ACTOR, server)
    assert set(tokens.load_table()) == {tokens.digest_of(first), tokens.digest_of(second.secret)}


def test_changes_in_quick_succession_become_one_push_of_the_servers_that_fetch() -> None:
    one, _token = fetching_server("web1")
    two, _token = fetching_server("web2")
    make_server("web3")
    reported(one)
    touch(["web1", "web2", "web3"])
    touch(["web1"])
    assert pushes() == 1
    assert FetchToken.objects.get(server=one).push_wanted_at is not None
    assert FetchToken.objects.get(server=two).push_wanted_at is None  # its rollout fetches


def test_without_push_nothing_is_told(settings) -> None:
    settings.KEYS_PUSH = False
    server, _token = fetching_server("web1")
    reported(server)
    touch(["web1"])
    assert pushes() == 0


@pytest.mark.parametrize("marked", [0, 5])  # seconds before
@pytest.mark.django_db(transaction=True)
def test_a_push_reaches_who_it_can_and_leaves_the_others_to_their_hour(marked) -> None:
    for name in ("web1", "web2"):
        server, _token = fetching_server(name)
        Server.objects.filter(pk=server.pk).update(ssh_connection=f"root@{name}")
        reported(server)
    HOSTS["web1"] = MemoryHost(answers={(SCRIPT,): Result(0, b"gestion-keys: fine\n", b"")}, name="web1")
    touch(["web1", "web2"])
    # Whatever was marked then may have been committed just now, and another machine's clock may be wrong.
    FetchToken.objects.update(push_wanted_at=timezone.now() - timedelta(seconds=marked))
    run = run_of(pushing.PUSH)
    began = monotonic()
    pushing.push(run)
    assert monotonic() - began > live.MAX_AGE, "an endpoint may answer by what was before the change"
    assert HOSTS["web1"].ran == [(SCRIPT,)]
    assert not FetchToken.objects.filter(push_wanted_at__isnull=False).exists()
    said = " ".join(line.text for line in run.take_news().lines)
    assert "web1: gestion-keys: fine" in said
    assert "web2" in said


@pytest.mark.django_db(transaction=True)
def test_fetch_now_hears_of_what_was_changed_right_before(settings) -> None:
    """As the last step of a wizard does, also where nothing is pushed."""
    settings.KEYS_PUSH = False
    server, _token = fetching_server("web1")
    HOSTS["web1"] = MemoryHost(answers={(SCRIPT,): Result(0, b"fine\n", b"")}, name="web1")
    Server.objects.filter(pk=server.pk).update(ssh_connection="root@web1")
    began = monotonic()
    pushing.fetch(run_of(pushing.FETCH), [server.pk])
    assert monotonic() - began > live.MAX_AGE
    assert HOSTS["web1"].ran == [(SCRIPT,)]


def test_a_renamed_or_deleted_server_is_known_to_every_endpoint() -> None:
    server, _token = fetching_server("web1")
    before, was = facts_of(server), revision(KeySetRevision.TOKENS)
    Server.objects.filter(pk=server.pk).update(keymanager_name="web9")
    server.refresh_from_db()
    server_changed(ACTOR, server, before, facts_of(server))
    assert revision(KeySetRevision.TOKENS) > was
    assert Rollout.objects.filter(server=server, kind=KIND).exists()
    was = revision(KeySetRevision.TOKENS)
    server_changed(ACTOR, server, facts_of(server), None)
    assert revision(KeySetRevision.TOKENS) > was


def test_every_change_moves_the_clock() -> None:
    touch(["a"])
    before = revision(KeySetRevision.CLOCK)
    touch(["b"])
    assert revision(KeySetRevision.CLOCK) > before
    assert revision("b") >= before


def test_how_a_server_stands() -> None:
    server, _token = fetching_server("web1")
    etag = contents(["web1"])["web1"].etag

    def state() -> Fetching:
        rows = Server.objects.select_related("fetch_token", "fetch_report").prefetch_related("unix_users")
        return fetch_states(rows)[server.pk].state

    assert state() == Fetching.NEVER
    reported(server, holds="0" * 40)
    assert state() == Fetching.BEHIND
    FetchReport.objects.update(holds=etag)
    assert state() == Fetching.CURRENT
    FetchReport.objects.update(fetched_at=timezone.now() - timedelta(hours=3))
    assert state() == Fetching.STALE
    FetchReport.objects.update(problem="older: …", fetched_at=timezone.now())
    assert state() == Fetching.PROBLEM
    FetchReport.objects.update(problem="no-user: x …", fetched_at=timezone.now() - timedelta(hours=3))
    assert state() == Fetching.STALE, "it has been silent since, whatever it said"


@pytest.mark.django_db(transaction=True)
def test_of_two_that_prepare_the_next_key_at_the_same_moment_one_does(admin_client) -> None:
    signing.current_key()
    barrier = Barrier(2)

    def prepare(client: Client) -> int:
        barrier.wait(timeout=PATIENCE_SECONDS)
        try:
            url = reverse("keymanager:signing")
            return client.post(url, {"step": "prepare"}, headers={"Accept": "application/json"}).status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(prepare, [admin_client, copy(admin_client)])) == [200, 409]
    assert SigningKey.objects.filter(signs=False).count() == 1


def test_the_signing_key_is_made_once_and_only_one_signs() -> None:
    key = signing.current_key()
    assert signing.current_key() == key
    signing.prepare_next_key(ACTOR)
    with pytest.raises(signing.AlreadyPrepared):
        signing.prepare_next_key(ACTOR)
    signing.use_next_key(ACTOR)
    assert signing.current_key() != key
    assert SigningKey.objects.filter(signs=True).count() == 1
    assert signing.allowed_signers().count("ssh-ed25519") == 1


def test_reports_of_servers_that_are_gone_do_not_hold_up_the_others(django_assert_num_queries) -> None:
    server, _token = fetching_server("web1")
    etag = "a" * 40
    batch: dict[int, reports.Report] = {
        server.pk: (200, etag.encode(), b"none", "192.0.2.1", b"1790000000"),
        server.pk + 999: (200, b"", None, "", None),
    }
    reports.write(batch, [])
    report = FetchReport.objects.get()
    assert (report.holds, report.problem, report.address) == (etag, "", "192.0.2.1")
    # A request of the old kind says nothing of what the host holds.
    reports.write({server.pk: (200, None, None, "nonsense", None)}, [])
    report.refresh_from_db()
    assert (report.holds, report.address) == (etag, None)
    assert report.proved_at == datetime.fromtimestamp(1790000000, UTC)
    with django_assert_num_queries(4):  # one to find the servers, one to write, and the savepoint's two
        reports.write({server.pk: (304, etag.encode(), b"", "::1", b"none")}, [])
    report.refresh_from_db()
    assert report.proved_at is None


def test_a_report_that_could_not_be_written_waits_behind_a_newer_one() -> None:
    buffer = reports.ReportBuffer()
    old: reports.Report = (200, b"old", None, "", None)
    two: reports.Report = (200, b"two", None, "", None)
    new: reports.Report = (304, b"new", None, "", None)
    buffer.waiting = {1: old, 2: two}
    batch, used = buffer.take()
    assert buffer.waiting == {}
    buffer.waiting[1] = new
    buffer.put_back(batch, used)
    assert buffer.waiting == {1: new, 2: two}


@pytest.mark.parametrize("odd", [b"-1", b"0", b"999999999999999", b"1e9", b"1790000000 x", b"\xff", b""])
def test_a_time_that_cannot_be_is_none(odd) -> None:
    server, _token = fetching_server("web1")
    reports.write({server.pk: (200, b"none", None, "", odd)}, [])
    assert FetchReport.objects.get().proved_at is None


def test_a_server_that_fetches_but_proves_nothing_for_hours_is_stale() -> None:
    server, _token = fetching_server("web1")
    now = timezone.now()
    for hours, state in ((1, Fetching.PROBLEM), (STALE_HOURS + 1, Fetching.STALE)):
        at = int((now - timedelta(hours=hours)).timestamp())
        reports.write({server.pk: (304, b"none", b"proof: no", "", b"%d" % at)}, [])
        row = Server.objects.get()
        found = fetch_states([row])[row.pk]
        assert found.state == state
        assert found.as_json()["proved_at"] is not None
