"""Somebody leaves: what is taken away, and what counts as gone."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts import leaving, services
from accounts.actors import Actor
from accounts.models import ApiToken, AuditEntry, User
from accounts.tokens import create_token
from hosts.host import Result
from hosts.memory import MemoryHost
from jobs.masking import Masker
from jobs.run import Run
from keymanager import departures, fetching
from keymanager.answers import contents
from keymanager.desired import SCRIPT
from keymanager.look_models import FoundLine
from keymanager.models import Departure, DepartureHost, FetchReport
from keymanager.services.groups import remove_from_group
from keymanager.services.keys import delete_key
from pages.second_word import SecondWordNeeded, second_word
from servers.models import Server
from tests.keymanager.fetchers import fetching_server, let_in
from tests.keymanager.fleets import make_key
from tests.keymanager.test_fetching import HOSTS, run_of

pytestmark = [pytest.mark.django_db]
JSON = {"Accept": "application/json"}


@pytest.fixture(autouse=True)
def quick(settings):
    settings.SERVERS_TRANSPORT = "tests.keymanager.test_fetching.MemoryTransport"
    settings.KEYS_PUSH = False
    HOSTS.clear()


@pytest.fixture
def fleet(admin) -> tuple[User, list[Server]]:
    """Two servers that fetch and hold what they should; Dora's keys are on both, an admin's too."""
    rows = [fetching_server(name, "root")[0] for name in ("web1", "web2")]
    dora = let_in(rows[0], "dora", "laptop")
    dora.key_groups.get().allowed_servers.add(rows[1])
    for row in rows:
        fetched(row)
    return dora, rows


def fetched(server: Server, ago: float = 0, holds: str = "") -> None:
    """As the endpoint notes a fetch."""
    etag = holds or contents({server.keymanager_name})[server.keymanager_name].etag
    at = timezone.now() - timedelta(seconds=ago)
    FetchReport.objects.update_or_create(
        server=server, defaults={"fetched_at": at, "status": 304, "holds": etag, "problem": ""}
    )


def take(admin: User, person: User) -> None:
    with second_word():
        leaving.take_access(Actor(admin, "ada"), person)


def still_open() -> list[str]:
    return [host.server.name for host in departures.open_hosts()]


def test_everything_ends_at_once_and_the_trail_says_what(admin, fleet):
    dora, _rows = fleet
    dora.set_password("correct horse battery")
    dora.save()
    client = Client()
    client.force_login(dora)
    create_token(Actor(dora, "dora"), dora, name="x", days=None)
    take(admin, dora)
    dora.refresh_from_db()
    assert not dora.is_active
    assert not dora.has_usable_password()
    assert client.get("/").status_code == 302
    assert not ApiToken.objects.exists()
    entry = AuditEntry.objects.get(verb="user.offboard")
    assert entry.before == {"is_active": True, "sessions": 1, "api_tokens": 1}
    assert all(len(content.parts) == 1 for content in contents({"web1", "web2"}).values())


def test_a_server_is_open_until_it_says_itself_that_it_holds_them_no_more(admin, fleet):
    dora, (web1, _web2) = fleet
    take(admin, dora)
    assert still_open() == ["web1", "web2"]
    fetched(web1)
    assert still_open() == ["web2"]
    fetched(web1, holds="0" * 40)  # it went on to something else: what was confirmed stays so
    assert still_open() == ["web2"]


def test_a_fetch_from_before_or_of_the_old_keys_confirms_nothing(admin, fleet):
    dora, (web1, web2) = fleet
    old = contents({"web1"})["web1"].etag
    take(admin, dora)
    fetched(web1, holds=old)
    fetched(web2, ago=30)
    FetchReport.objects.filter(server=web2).update(holds=contents({"web2"})["web2"].etag)
    assert still_open() == ["web1", "web2"]


def test_a_fetch_that_ended_with_a_problem_confirms_nothing(admin, fleet):
    dora, (web1, _web2) = fleet
    take(admin, dora)
    fetched(web1)
    FetchReport.objects.filter(server=web1).update(problem="disk full")
    assert "web1" in still_open()


@pytest.mark.parametrize(
    "note",
    [
        "no-user: deploy is not a user here",
        "one-file: toor has the number and home of root, whose keys are there",
        "not read: root: the OpenSSH here reads 2 of 3 lines, not sk-ssh-ed25519@openssh.com me@laptop",
        "deploy: home is writable for others, so sshd refuses keys; no-user: anna is not a user here",
    ],
)
def test_a_note_of_a_fetch_that_went_well_keeps_no_server_open(admin, admin_client, fleet, note):
    dora, (web1, web2) = fleet
    take(admin, dora)
    for row in (web1, web2):
        fetched(row)
    FetchReport.objects.filter(server=web1).update(problem=note)
    FetchReport.objects.filter(server=web2).update(problem="write: root: took too long")
    assert still_open() == ["web2"]
    html = admin_client.get(f"/users/{dora.pk}/offboard/").content.decode()
    assert "Its last fetch failed: write: root" in html
    assert "Its last fetch failed: no" not in html


def test_a_copy_of_a_file_of_ours_keeps_the_server_open_until_somebody_has_looked(admin, admin_client, fleet):
    """It may have the key of who left, at a unix user from whom nothing is taken away."""
    dora, (web1, web2) = fleet
    take(admin, dora)
    for row in (web1, web2):
        fetched(row)
    said = "copied: /home/sam/.ssh/authorized_keys2: keys from here, at a unix user who is not on the list"
    FetchReport.objects.filter(server=web1).update(problem=said)
    assert still_open() == ["web1"]
    html = admin_client.get(f"/users/{dora.pk}/offboard/").content.decode()
    assert f"It says that keys lie there still: {said}" in html


def test_of_somebody_who_was_only_switched_off_it_is_not_said_that_no_server_holds_keys(
    admin, admin_client, fleet
):
    dora, _rows = fleet
    dora.set_password("correct horse battery")
    dora.save()
    with second_word():
        services.change_user(Actor(admin, "ada"), dora, is_active=False)
    html = admin_client.get(f"/users/{dora.pk}/offboard/").content.decode()
    assert "2 servers hold, or may hold, keys of this person" in html
    assert "No server that fetches from here" not in html
    assert "without a password" not in html


def test_the_page_tells_host_by_host_and_the_open_ones_come_as_a_file(admin, admin_client, fleet):
    dora, (web1, web2) = fleet
    page = f"/users/{dora.pk}/offboard/"
    assert "Take all access away" in admin_client.get(page).content.decode()
    assert admin_client.post(page).status_code == 409  # nobody else would be root there: the second word
    assert admin_client.post(page, {"confirm_lockout": "on"}).headers["Location"] == page
    html = admin_client.get(page).content.decode()  # with the message of what was done
    assert "no access to this panel any more" in html
    assert "not gone everywhere yet" in html
    fetched(web1)
    found = admin_client.get(page, headers=JSON).json()
    assert found["open"] == 1
    assert [(row["server"], bool(row["gone_at"])) for row in found["hosts"]] == [
        ("web2", False),
        ("web1", True),
    ]
    assert found["hosts"][0]["unix_users"] == ["root"]
    html = admin_client.get(page).content.decode()
    assert "not yet confirmed" in html
    table = admin_client.get(f"/keymanager/people/{dora.pk}/departure/open.csv")
    text = b"".join(table.streaming_content).decode()
    assert "web2" in text
    assert "web1" not in text
    fetched(web2)
    assert "gone everywhere" in admin_client.get(page).content.decode()


def test_looking_at_the_page_takes_as_many_queries_for_many_servers(
    admin, admin_client, fleet, django_assert_max_num_queries
):
    dora, _rows = fleet
    for number in range(20):
        server = fetching_server(f"more{number}", "root")[0]
        dora.key_groups.get().allowed_servers.add(server)
    take(admin, dora)
    with django_assert_max_num_queries(40):
        admin_client.get(f"/users/{dora.pk}/offboard/")


def test_the_job_asks_who_is_down_again_and_says_who(admin, fleet):
    dora, (web1, web2) = fleet
    take(admin, dora)
    departure = Departure.objects.get()
    assert departure.job is not None
    assert departure.job.retry_seconds
    run = run_of(departures.DEPART)
    fetched(web1)
    with pytest.raises(departures.NotGoneYet, match=r"1 server .*web2"):
        departures.depart(run, departure.pk)
    fetched(web2)
    departures.depart(run, departure.pk)
    assert still_open() == []


def test_an_admin_says_that_he_looked(admin, admin_client, fleet):
    dora, _rows = fleet
    take(admin, dora)
    host = DepartureHost.objects.all()[0]
    admin_client.post(f"/keymanager/departures/hosts/{host.pk}/confirm/")
    host.refresh_from_db()
    assert host.confirmed_by == "ada"
    assert AuditEntry.objects.filter(verb="departure.confirm").exists()


def test_switched_on_again_nothing_is_awaited_and_nobody_can_sign_in_by_it(admin, fleet):
    dora, _rows = fleet
    take(admin, dora)
    services.change_user(Actor(admin, "ada"), User.objects.get(pk=dora.pk), is_active=True)
    assert not Departure.objects.exists()
    assert not User.objects.get(pk=dora.pk).has_usable_password()


def test_the_last_way_in_is_not_taken_without_a_second_word(admin, fleet):
    dora, _rows = fleet
    with pytest.raises(SecondWordNeeded):
        leaving.take_access(Actor(admin, "ada"), dora)
    assert User.objects.get(pk=dora.pk).is_active
    assert not Departure.objects.exists()


def test_nobody_takes_the_own_access_away(admin):
    with pytest.raises(services.NotAllowed):
        leaving.take_access(Actor(admin, "ada"), admin)


def test_somebody_switched_off_before_can_still_be_followed(admin, admin_client, fleet):
    dora, (web1, web2) = fleet
    with second_word():
        services.change_user(Actor(admin, "ada"), dora, is_active=False)
    page = f"/users/{dora.pk}/offboard/"
    assert admin_client.get(page, headers=JSON).json()["servers"] == ["web1", "web2"], (
        "none has fetched since"
    )
    fetched(web1)
    assert admin_client.get(page, headers=JSON).json()["servers"] == ["web2"]
    fetched(web2)
    assert admin_client.get(page, headers=JSON).json()["servers"] == []
    take(admin, dora)
    assert still_open() == ["web1", "web2"]
    fetched(web1)
    assert still_open() == ["web2"]


def test_a_key_of_theirs_that_somebody_put_there_by_hand_keeps_a_server_open(fleet, admin) -> None:
    dora, (web1, web2) = fleet
    print_ = dora.ssh_keys.get().fingerprint
    found = FoundLine.objects.create(server=web1, unix_user="root", fingerprint=print_, type="ssh-ed25519")
    take(admin, dora)
    for row in (web1, web2):
        fetched(row, ago=-1)
    assert still_open() == ["web1"]
    found.gone_at = timezone.now()
    found.save()
    assert still_open() == []


@pytest.mark.parametrize("taken", ["out of the group", "the key"])
def test_a_server_that_was_away_when_the_rest_was_taken_before_is_open_too(
    admin, admin_client, fleet, taken
) -> None:
    """People take somebody out of groups first, and offboard then: a server that was off holds the key still."""
    dora, (web1, web2) = fleet
    with second_word():
        if taken == "the key":
            delete_key(Actor(admin, "ada"), dora.ssh_keys.get())
        else:
            remove_from_group(Actor(admin, "ada"), dora.key_groups.get(), "member_users", dora)
    fetched(web1)  # web2 is off
    page = f"/users/{dora.pk}/offboard/"
    assert admin_client.get(page, headers=JSON).json()["servers"] == ["web2"]
    take(admin, dora)
    assert still_open() == ["web2"]
    assert "Gone from" in admin_client.get(page).content.decode()
    fetched(web2)
    assert still_open() == []


def test_a_key_of_theirs_put_by_hand_where_they_are_not_allowed_is_awaited_too(
    admin, admin_client, fleet
) -> None:
    dora, (web1, web2) = fleet
    other, _token = fetching_server("store1", "root")
    fetched(other)
    print_ = dora.ssh_keys.get().fingerprint
    found = FoundLine.objects.create(server=other, unix_user="root", fingerprint=print_, type="ssh-ed25519")
    page = f"/users/{dora.pk}/offboard/"
    assert admin_client.get(page, headers=JSON).json()["servers"] == ["store1", "web1", "web2"]
    take(admin, dora)
    for row in (web1, web2, other):
        fetched(row, ago=-1)
    assert still_open() == ["store1"]
    found.gone_at = timezone.now()
    found.save()
    assert still_open() == []


def test_a_server_that_was_off_before_somebody_came_does_not_hold_their_keys(
    admin, admin_client, fleet
) -> None:
    _dora, (web1, _web2) = fleet
    fetched(web1, ago=3600, holds="0" * 40)
    eve = User.objects.create_user("eve")
    make_key(eve, "eve")
    page = f"/users/{eve.pk}/offboard/"
    assert admin_client.get(page, headers=JSON).json()["servers"] == []
    take(admin, eve)
    assert still_open() == []


@pytest.mark.django_db(transaction=True)
def test_a_server_whose_keys_were_taken_away_holds_none(admin, admin_client, fleet) -> None:
    """It went on being listed for everybody who left, and what was found on it stayed red for good."""
    dora, (web1, _web2) = fleet
    take(admin, carl := let_in(web1, "carl", "desk"))  # who left before, and whom it has not heard of
    assert len(still_open()) == 1
    FoundLine.objects.create(server=web1, unix_user="root", fingerprint="SHA256:x", type="ssh-ed25519")
    Server.objects.filter(pk=web1.pk).update(ssh_connection="root@web1")
    HOSTS["web1"] = MemoryHost(answers={(SCRIPT, "--forget"): Result(0, b"none is left\n", b"")}, name="web1")
    with second_word():
        job = fetching.uninstall(Actor(admin, "ada"), web1, take_keys=True)
    assert job is not None
    fetching.forget(Run(job, Masker()), **job.args)
    assert admin_client.get(f"/users/{dora.pk}/offboard/", headers=JSON).json()["servers"] == ["web2"]
    assert "by hand" not in admin_client.get("/").content.decode()
    assert FoundLine.objects.get().gone_at
    [row] = admin_client.get(f"/users/{carl.pk}/offboard/", headers=JSON).json()["hosts"]
    assert (row["server"], row["words"]) == ("web1", "Gone: the server says so.")


COPY = "copied: /home/sam/.ssh/authorized_keys2: keys"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("before", "told"), [(COPY, "none is left"), ("", f"no key that Gestion wrote is left; {COPY}")]
)
def test_a_server_that_told_of_a_copy_is_not_gone_by_taking_its_keys_away(
    admin, admin_client, fleet, before, told
) -> None:
    dora, (web1, web2) = fleet
    take(admin, dora)
    for row in (web1, web2):
        fetched(row)
    FetchReport.objects.filter(server=web1).update(problem=before)
    Server.objects.filter(pk=web1.pk).update(ssh_connection="root@web1")
    HOSTS["web1"] = MemoryHost(
        answers={(SCRIPT, "--forget"): Result(0, f"{told}\n".encode(), b"")}, name="web1"
    )
    with second_word():
        job = fetching.uninstall(Actor(admin, "ada"), web1, take_keys=True)
    assert job
    fetching.forget(Run(job, Masker()), **job.args)
    rows = admin_client.get(f"/users/{dora.pk}/offboard/", headers=JSON).json()["hosts"]
    assert {row["server"]: row["words"] for row in rows} == {
        "web1": "Fetches no more: look at ~/.ssh/authorized_keys2 there yourself.",
        "web2": "Gone: the server says so.",
    }


def test_who_never_had_a_key_is_awaited_nowhere(admin, fleet) -> None:
    _dora, (web1, _web2) = fleet
    fetched(web1, holds="0" * 40)
    take(admin, User.objects.create_user("eve"))
    assert still_open() == []


def test_deleting_the_account_says_that_servers_are_then_awaited_no_more(admin, admin_client, fleet) -> None:
    dora, (web1, _web2) = fleet
    take(admin, dora)
    fetched(web1)
    holds = admin_client.get(f"/users/{dora.pk}/delete/", headers=JSON).json()["holds"]
    assert "The list of 1 server that has not confirmed that the keys are gone" in holds


def test_deleting_a_server_that_has_not_confirmed_says_that_it_is_followed_no_more(
    admin, admin_client, fleet
) -> None:
    """The list went with it, and the page about who left said that the keys are gone everywhere."""
    person, servers = fleet
    take(admin, person)
    fetched(servers[0])
    told = {server: admin_client.get(f"/servers/{server.pk}/delete/").content.decode() for server in servers}
    words = f"the keys of {person} are gone"
    assert [words in told[server] for server in servers] == [False, *(True for _ in servers[1:])]
    assert f"/users/{person.pk}/offboard/" in told[servers[1]]
