"""Lines that somebody put into an authorized_keys2: kept, audited, told once, and shown to those who may see them."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from jobs.models import Job
from keymanager import reports
from keymanager.fetch_states import Fetching, fetch_states
from keymanager.found import Found, read_header, read_look
from keymanager.found_lines import TOLD_AGAIN, TOPIC, note_fetches, note_look
from keymanager.found_page import found_on
from keymanager.look_models import FoundLine, KeyLook
from keymanager.models import FetchReport
from notifications.models import Message, Subscription
from servers.models import Rollout, RolloutState, Server
from servers.upkeep import start_looks
from tests.keymanager.fetchers import fetching_server
from tests.keymanager.fleets import ed25519_blob, fingerprint_of, make_key

pytestmark = [pytest.mark.django_db, pytest.mark.services]
EVE = fingerprint_of(ed25519_blob(b"eve"))
SUMMARY = "authorized_keys2 is not as it was written: root: 1 line not from Gestion"
ENTRY = f"root: ssh-ed25519 {EVE} eve@cafe"
LOOK = f"-{ENTRY}\n{SUMMARY}"


@pytest.fixture
def server():
    row, _token = fetching_server("web1", "root")
    FetchReport.objects.create(server=row, fetched_at=timezone.now() - timedelta(minutes=5), holds="x")
    return row


@pytest.fixture
def owner(server) -> User:
    person = User.objects.create_user("olga", "correct horse battery", email="olga@example.org")
    server.owners.add(person)
    return person


def state_of(server) -> Fetching:
    return fetch_states(Server.objects.filter(pk=server.pk))[server.pk].state


def test_what_a_look_says_is_read_and_nothing_else():
    words = f"-{ENTRY}\n-root: mode 644\n+root: mode 600\n+root: ssh-rsa {EVE} gone\n-anna: no key\n{SUMMARY}"
    looked = read_look(words)
    assert looked
    assert looked.lines == (Found("root", "ssh-ed25519", EVE, comment="eve@cafe"), Found("anna"))
    assert not looked.cut
    assert read_look("usage: gestion-keys [--cron | --check | --forget]") is None
    assert read_look("") is None


def test_of_whom_a_look_cannot_have_named_all_nothing_is_taken_for_gone(server):
    note_look(server, LOOK)
    note_look(server, f"-root: authorized_keys2 cannot be read: took too long\n{SUMMARY}")
    assert FoundLine.objects.get().gone_at is None
    keys = [f"-deploy{user}: ssh-ed25519 {EVE} {'x' * 60}" for user in range(30)]
    whole = "\n".join([f"-{ENTRY}", *keys, SUMMARY])
    assert len(keys) < 39
    note_look(server, whole[-4000:])  # as hosts/remote/4_job.sh hands it on
    assert FoundLine.objects.get(unix_user="root").gone_at is None
    note_look(server, "\n".join(["-root: no key"] * 10 + [SUMMARY]))  # of more, it names no more
    assert FoundLine.objects.get(unix_user="root", fingerprint=EVE).gone_at is None


@pytest.mark.parametrize(
    "value",
    [
        b"", b";;;", b"root", b"root: ", b"../x: no key", b"root: no key\xff", b"\xff" * 20_000, b"root: no key extra",
        f"root: ssh-ed25519 {EVE[:-1]} x".encode(), f"root: <b> {EVE} x".encode(),
        f"root: ssh-ed25519 {EVE} \x1b[31m".encode(),
    ],
)  # fmt: skip
def test_what_no_script_of_ours_says_is_passed_over(value):
    assert read_header(value) == ()


def test_a_host_that_names_thousands_is_taken_for_a_few(server):
    value = ";".join(f"u{number}: no key" for number in range(5000)).encode()
    assert len(read_header(value)) == 20
    for turn in range(15):
        told = ";".join(f"u{turn}x{number}: no key" for number in range(20)).encode()
        note_fetches({server.pk: [told]})
    assert FoundLine.objects.count() == 200


def test_a_key_found_by_a_look_is_kept_audited_and_drift_until_the_next_fetch(server):
    note_look(server, LOOK)
    row = FoundLine.objects.get()
    assert (row.unix_user, row.type, row.fingerprint, row.comment, row.gone_at) == (
        "root", "ssh-ed25519", EVE, "eve@cafe", None,
    )  # fmt: skip
    after = AuditEntry.objects.get(verb="key.found").after
    assert after
    assert after["fingerprint"] == EVE
    assert state_of(server) == Fetching.DRIFTED
    FetchReport.objects.update(fetched_at=timezone.now())
    assert state_of(server) != Fetching.DRIFTED


def test_the_fetch_that_takes_it_out_ends_it_and_the_trace_stays(server):
    note_look(server, LOOK)
    note_fetches({server.pk: [ENTRY.encode()], 10**6: [ENTRY.encode()]})
    row = FoundLine.objects.get()
    assert row.gone_at is not None
    assert row.times == 1
    assert list(AuditEntry.objects.values_list("verb", flat=True).order_by("pk"))[-2:] == [
        "key.found", "key.gone",
    ]  # fmt: skip
    note_fetches({server.pk: [ENTRY.encode()]})  # a host that did not hear our answer says it again
    note_look(server, "")
    assert FoundLine.objects.get().times == 1
    assert AuditEntry.objects.filter(verb="key.found").count() == 1
    assert KeyLook.objects.get().differs == ""


def test_a_key_that_only_a_fetch_saw_is_kept_too_and_one_that_comes_back_is_counted(server):
    note_fetches({server.pk: [ENTRY.encode()]})
    assert FoundLine.objects.get().gone_at is not None
    note_look(server, LOOK)
    row = FoundLine.objects.get()
    assert (row.times, row.gone_at) == (2, None)
    assert row.first_seen_at < row.seen_at


def test_what_was_found_travels_with_the_reports_and_no_later_report_loses_it(server):
    buffer = reports.ReportBuffer()
    for value in (ENTRY.encode(), None, b"", ENTRY.encode(), b"root: no key"):
        buffer.note_found(server.pk, value)
    reports.flush_now(buffer)
    assert set(FoundLine.objects.values_list("fingerprint", flat=True)) == {EVE, ""}
    assert buffer.found == {}


def test_a_drifted_rollout_is_looked_at_again_once_a_fetch_took_a_line_out(server):
    note_fetches({server.pk: [b"root: no key"]})
    assert not Job.objects.filter(work="servers.look").exists()
    Rollout.objects.create(server=server, kind="keys", state=RolloutState.DRIFTED)
    note_fetches({server.pk: [ENTRY.encode()]})
    assert Job.objects.get(work="servers.look").args == {"server": server.pk, "kinds": ["keys"]}


def test_those_who_asked_and_may_see_the_server_are_told_once_a_day(server, owner):
    stranger = User.objects.create_user("sam", "correct horse battery", email="sam@example.org")
    for person in (owner, stranger):
        Subscription.objects.create(person=person, topic=TOPIC.name)
    note_look(server, LOOK)
    note_look(server, LOOK)
    note_fetches({server.pk: [ENTRY.encode()]})
    message = Message.objects.get()
    assert [delivery.person for delivery in message.deliveries.all()] == [owner]
    assert EVE in message.text
    assert "root" in message.title
    assert "web1" in message.title
    FoundLine.objects.update(told_at=timezone.now() - TOLD_AGAIN - timedelta(minutes=1))
    note_look(server, LOOK)
    assert Message.objects.count() == 2, "it has come back"


def test_whose_key_it_might_be_is_told_to_those_who_may_see_it(server, owner):
    eve = User.objects.create_user("eve", "correct horse battery")
    make_key(eve, "eve")
    admin = User.objects.create_superuser("ada", "correct horse battery")
    note_look(server, LOOK)
    assert [row.owners for reader in (admin, eve, owner) for row in found_on(server, reader)] == [
        ["eve"],
        ["eve"],
        [],
    ]
    client = Client(HTTP_ACCEPT="application/json")
    client.force_login(owner)
    (found,) = client.get(f"/keymanager/servers/{server.pk}/").json()["found"]
    assert (found["fingerprint"], found["owners"], found["gone_at"]) == (EVE, [], None)


def test_pages_show_what_was_found_and_nothing_of_it_is_markup(server, owner):
    note_look(server, f"-root: options ssh-ed25519 {EVE} <script>x\n-root: no key\n{SUMMARY}")
    Rollout.objects.create(server=server, kind="keys", state=RolloutState.DRIFTED)
    client = Client()
    client.force_login(owner)
    for path in (f"/keymanager/servers/{server.pk}/", f"/servers/{server.pk}/"):
        page = client.get(path).content.decode()
        assert EVE in page
        assert "&lt;script&gt;x" in page
        assert "A line that is no key" in page
        assert "changed by hand" in page
    assert f'action="/servers/{server.pk}/rollouts/keys/look/"' in page
    assert "Somebody put a line into authorized_keys2 on web1 by hand." in client.get("/").content.decode()
    rows = client.get("/keymanager/", {"fetching": "drifted"}, HTTP_ACCEPT="application/json").json()
    assert SUMMARY in str(rows)
    stranger = Client()
    stranger.force_login(User.objects.create_user("sam", "correct horse battery"))
    assert stranger.get(f"/keymanager/servers/{server.pk}/").status_code == 404
    assert "by hand" not in stranger.get("/").content.decode()


def test_a_server_that_was_set_up_by_hand_is_looked_at_from_its_first_fetch_on(server, admin_client):
    reports.write({server.pk: (401, b"none", b"", "::1", None)}, [])
    reports.write({server.pk: (200, None, None, "::1", None)}, [])  # somebody tries the address
    assert not Rollout.objects.exists()
    page = f"/keymanager/servers/{server.pk}/"
    assert "Look now" not in admin_client.get(page).content.decode()
    reports.write({server.pk: (304, b"x" * 40, b"", "::1", None)}, [])
    row = Rollout.objects.get(server=server)
    assert (row.kind, row.state, row.wanted) == ("keys", RolloutState.IN_SYNC, 0)
    assert "Look now" in admin_client.get(page).content.decode()
    start_looks()
    assert Job.objects.filter(work="servers.look_all").exists(), "also where nothing was ever rolled out"
    url = f"/servers/{server.pk}/rollouts/keys/look/"
    assert admin_client.post(url, headers={"Accept": "application/json"}).status_code == 200
    assert Job.objects.get(work="servers.look").args["kinds"] == ["keys"]
    Rollout.objects.update(state=RolloutState.DRIFTED)
    reports.write({server.pk: (200, b"x" * 40, b"", "::1", None)}, [])
    assert Rollout.objects.get().state == RolloutState.DRIFTED
