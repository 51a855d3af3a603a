"""Every URL × who owns this server, another one, once owned this one, or owns the backup server; on a populated fleet.

A URL with an object is closed to them until it says here that it is open to the owner of that object's server. And
whatever is answered, to a page, a form, a list, a search or a stream: no text in it is of somebody else's server.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import override_settings
from django.urls import reverse

from backups.models import Restore
from proxmox.models import GuestSeen
from servers.models import Server
from tests.databases import taken_back
from tests.gestion.browsers import Sessions
from tests.gestion.fleet import EVERY_MARK, Fleet, Visitor, populate
from tests.gestion.test_every_url import EVERY_URL, HIDDEN, OWN, PUBLIC, QUICK, Url, ask
from tests.gestion.url_arguments import World
from tests.gestion.write_watcher import watched

# Open to the owner of the server that the object belongs to.
OF_OWNER = {
    "backups:backup",
    "backups:backup_runs",
    "backups:begin_restore",
    "backups:copy",
    "backups:copy_folder",
    "backups:download",
    "backups:look_again",
    "backups:read_again",
    "backups:read_copy_again",
    "backups:restore",
    "backups:restore_copy",
    "backups:restore_from",
    "backups:restores",
    "backups:run",
    "backups:run_backup",
    "backups:stop_restore",
    "backups:stop_run",
    "backups:give_up_run",
    "backups:stop_verification",
    "backups:try_backup",
    "backups:verification",
    "backups:verify",
    "backups:zabbix_last",
    "backups:zabbix_state",
    "forwarding:ask_port",
    "forwarding:certificate",
    "forwarding:hostname",
    "forwarding:port",
    "jobs:acknowledge",
    "jobs:again",
    "jobs:job",
    "jobs:stop",
    "jobs:stream",
    "keymanager:fetch_now",
    "keymanager:server",
    "keymanager:server_keys",
    "proxmox:guest",
    "samba:renew_password",
    "samba:share",
    "samba:show_password",
    "samba:switch_share",
    "servers:adopt",
    "servers:check",
    "servers:look",
    "servers:roll_out",
    "servers:roll_out_all",
    "servers:rollout",
    "servers:server",
}
STEPS = (("GET", False), ("GET", True), ("POST", False), ("POST", True))
VISITORS = ("owner of this server", "owner of another", "former owner", "destination's owner")
QUERIES = ("?q=example", "?q=mark", "?state=failed")
ROUNDS = (("owner of this server", "b"), *((who, "a") for who in VISITORS))


@pytest.fixture(scope="module")
def whole_fleet(django_db_setup, django_db_blocker) -> Iterator[Fleet]:
    """Made once; what each test changes is taken back."""
    with taken_back(django_db_blocker), override_settings(PASSWORD_HASHERS=QUICK):
        yield populate()


@pytest.fixture(scope="module")
def sessions(whole_fleet, django_db_blocker) -> Sessions:
    """Of all visitors."""
    with django_db_blocker.unblock():
        return Sessions(*(visitor.user for visitor in whole_fleet.visitors.values()))


@pytest.fixture
def db(whole_fleet, django_db_blocker) -> Iterator[None]:
    """In place of a fresh database for each test."""
    with taken_back(django_db_blocker):
        yield


@pytest.fixture
def fleet(db, whole_fleet) -> Fleet:
    return whole_fleet


def body(answer: Any) -> str:
    """All that was sent; of a stream that goes on, nothing is waited for: who may open it is what counts."""
    streaming = getattr(answer, "streaming", False)
    if streaming and answer.headers["Content-Type"].startswith("text/event-stream"):
        return ""
    sent = answer.getvalue() if isinstance(answer, StreamingHttpResponse) else answer.content
    return "\n".join([sent.decode(errors="replace"), *answer.headers.values()])


def leaks(answer: HttpResponseBase, visitor: Visitor, *, but: str = "") -> list[str]:
    """What this answer says of others; `but`: what the visitor himself typed."""
    text = body(answer).replace(but, "") if but else body(answer)
    return [
        f"{mark}: …{text[max(0, found.start() - 80) : found.end() + 40]}…"
        for mark in sorted(EVERY_MARK - visitor.reads)
        for found in list(re.finditer(mark, text))[:1]
    ]


def may(name: str, who: str, world: World, fleet: Fleet) -> bool:
    """Whether the URL is open to this visitor for an object of this world."""
    own = {"owner of this server": fleet.a, "owner of another": fleet.b}.get(who)
    return name in OWN | set(PUBLIC) or (name in OF_OWNER and own is world)


def test_the_list_above_names_only_urls_that_there_are():
    assert OF_OWNER - {url.name for url in EVERY_URL} == set()


@pytest.mark.parametrize("url", EVERY_URL, ids=lambda url: url.name)
def test_owners_reach_and_change_what_is_theirs_and_read_nothing_of_others(
    fleet: Fleet, sessions: Sessions, url: Url
):
    paths = {"a": url.path(fleet.a), "b": url.path(fleet.b)}
    reached = False
    for who, which in ROUNDS if url.parameters else [(who, "a") for who in VISITORS]:
        visitor, world, path = fleet.visitors[who], getattr(fleet, which), paths[which]
        for method, as_json in STEPS:
            client = sessions.browser(visitor.user)
            with watched() as changed, transaction.atomic():
                answer = ask(client, method, path, as_json=as_json)
                said = leaks(answer, visitor)
                transaction.set_rollback(True)  # whatever was begun, the next step finds all as it was
            told = f"{method} {path} by the {who}: {answer.status_code}"
            assert answer.status_code < 500 or url.name in {"backups:health", "backups:health_bare"}, told
            assert said == [], told
            if may(url.name, who, world, fleet):
                reached = reached or answer.status_code not in HIDDEN
            else:
                assert answer.status_code in HIDDEN, told
                assert changed == [], told
    assert reached or url.name not in OF_OWNER, f"Nobody reaches {url.name}: what does it do in OF_OWNER?"


LISTS = (
    "backups:backups",
    "backups:runs",
    "forwarding:hostnames",
    "forwarding:ports",
    "jobs:list",
    "keymanager:overview",
    "proxmox:guests",
    "samba:shares",
    "search",
    "servers:list",
)


@pytest.mark.parametrize("name", LISTS)
def test_no_search_sort_or_filter_of_a_list_tells_of_others(fleet: Fleet, sessions: Sessions, name: str):
    path = reverse(name)
    for who, visitor in fleet.visitors.items():
        client = sessions.browser(visitor.user)
        for query in QUERIES:
            answer = ask(client, "GET", path + query)
            assert answer.status_code == 200
            assert leaks(answer, visitor) == [], f"{path}{query} by the {who}"


@pytest.mark.parametrize("typed", ["alpha-mark", "beta-mark", "alpha-mark-web", "between-mark"])
def test_nothing_is_found_by_the_name_of_what_is_somebody_elses(fleet: Fleet, sessions: Sessions, typed: str):
    for who, visitor in fleet.visitors.items():
        if typed.removesuffix("-web") in visitor.reads:
            continue
        client = sessions.browser(visitor.user)
        for name in LISTS:
            answer = client.get(f"{reverse(name)}?q={typed}", headers={"Accept": "application/json"})
            assert answer.json()["rows"] == [], f"{name} by the {who}"


# Who may see each job of the fleet, besides admins.
OF_JOBS = {
    "asked by the former owner, running": {"owner of this server"},
    "asked by the former owner, failed": {"owner of this server"},
    "asked by the admin, waiting": {"owner of this server"},
    "of the backup server": {"destination's owner"},
    "of the host's nginx": set(),
    "of both servers": set(),
    "of before": set(),
    "of a script": set(),
}


@pytest.mark.parametrize("which", OF_JOBS)
def test_a_job_is_seen_and_stopped_by_who_operates_all_that_it_touches(
    fleet: Fleet, sessions: Sessions, which: str
):
    job = fleet.jobs[which]
    for who, visitor in fleet.visitors.items():
        client = sessions.browser(visitor.user)
        open_to_them = who in OF_JOBS[which]
        for step in ("", "stream", "stop/", "again/", "acknowledge/"):
            method = "GET" if step in {"", "stream"} else "POST"
            with watched() as changed, transaction.atomic():
                answer = ask(client, method, f"/jobs/{job.pk}/{step}", as_json=True)
                transaction.set_rollback(True)
            told = f"{step} by the {who}: {answer.status_code}"
            assert (answer.status_code in HIDDEN) is not open_to_them, told
            assert leaks(answer, visitor) == [], told
            assert open_to_them or changed == [], told
        listed = {
            row["id"] for row in client.get("/jobs/", headers={"Accept": "application/json"}).json()["rows"]
        }
        assert (job.pk in listed) is open_to_them, who


RESTORE_STEPS = (("GET", ""), ("POST", "begin/"), ("POST", "again/"), ("POST", "stop/"))


@pytest.mark.parametrize("state", ["looking", "ready", "running", "done", "failed"])
def test_no_owner_of_one_end_sees_begins_repeats_or_stops_a_restore_to_another(
    fleet: Fleet, sessions: Sessions, state: str
):
    Restore.objects.filter(pk=fleet.restore.pk).update(state=state)
    for who, visitor in fleet.visitors.items():
        client = sessions.browser(visitor.user)
        for method, step in RESTORE_STEPS:
            for as_json in (False, True):
                with watched() as changed:
                    answer = ask(
                        client, method, f"/backups/restores/{fleet.restore.pk}/{step}", as_json=as_json
                    )
                assert answer.status_code == 404, f"{step} by the {who}: {answer.status_code}"
                assert changed == [], f"{step} by the {who}"


def test_a_restore_to_a_server_that_is_not_ones_own_is_refused_by_the_field(fleet: Fleet, sessions: Sessions):
    backup = fleet.restore.backup
    client = sessions.browser(fleet.visitors["owner of this server"].user)
    wanted = {"where": "elsewhere", "target": fleet.b.server.pk, "folder": "/x"}
    with watched() as changed:
        answer = client.post(
            f"/backups/{backup.pk}/copies/{fleet.restore.at}/restore/",
            wanted,
            headers={"Accept": "application/json"},
        )
    assert answer.status_code == 422
    assert "target" in answer.json()["errors"]
    assert changed == []


def test_who_owns_both_ends_sees_and_stops_the_restore_and_its_job(fleet: Fleet, sessions: Sessions):
    person = fleet.visitors["owner of this server"].user
    fleet.b.server.owners.add(person)
    client = sessions.browser(person)
    assert client.get(f"/backups/restores/{fleet.restore.pk}/").status_code == 200
    assert client.get(f"/jobs/{fleet.restore.job_id}/").status_code == 200
    assert client.get(f"/jobs/{fleet.jobs['of both servers'].pk}/").status_code == 200


def test_the_owner_of_the_backup_server_is_told_how_many_copies_of_others_lie_there(
    fleet: Fleet, sessions: Sessions
):
    visitor = fleet.visitors["destination's owner"]
    answer = sessions.browser(visitor.user).get(Server.objects.get(name="backup1").get_absolute_url())
    assert "The copies of 2 backups of other servers lie here." in answer.content.decode()


def test_the_owner_of_the_backup_server_does_not_read_its_files_which_name_the_others(
    fleet: Fleet, sessions: Sessions
):
    visitor = fleet.visitors["destination's owner"]
    client = sessions.browser(visitor.user)
    page = fleet.store.get_absolute_url()
    for path in (page, f"{page}rollouts/rsnapshot/"):
        for as_json in (False, True):
            answer = ask(client, "GET", path, as_json=as_json)
            assert answer.status_code == 200
            assert leaks(answer, visitor) == [], path


def test_a_name_that_leads_to_several_servers_tells_nobody_of_the_others(fleet: Fleet, sessions: Sessions):
    page = f"/forwarding/hostnames/{fleet.shared.pk}/"
    for who in ("owner of this server", "owner of another"):
        visitor = fleet.visitors[who]
        client = sessions.browser(visitor.user)
        for path in (page, f"{page}certificate/", "/forwarding/hostnames/?q=shared", "/search/?q=shared"):
            for as_json in (False, True):
                answer = ask(client, "GET", path, as_json=as_json)
                assert answer.status_code == 200, path
                assert leaks(answer, visitor) == [], path
        assert "and 1 server of somebody else" in client.get(page).content.decode()
        with watched() as changed:
            assert ask(client, "POST", f"{page}answers/").status_code == 404
        assert changed == []


def test_only_the_owner_of_a_guest_starts_and_stops_it(fleet: Fleet, sessions: Sessions):
    guest = GuestSeen.objects.get(server=fleet.a.server)
    path = reverse("proxmox:power_guest", args=[guest.host_id, guest.kind, guest.vmid, "start"])
    for who, visitor in fleet.visitors.items():
        client = sessions.browser(visitor.user)
        with watched() as changed, transaction.atomic():
            answer = client.post(path, {"name": guest.name})
            transaction.set_rollback(True)
        if who == "owner of this server":
            assert answer.status_code == 302
        else:
            assert (answer.status_code, changed) == (403, []), who
        assert leaks(answer, visitor) == [], who
