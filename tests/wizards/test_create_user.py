"""What stands in the way of taking a unix user back that a wizard has made: it goes with its home folder."""

from typing import Any
from uuid import uuid4

import pytest

from accounts.actors import Actor
from backups.models import Backup, LeftData
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from keymanager.models import Group
from samba.models import Share
from servers.models import Server
from tests.keymanager.fleets import make_key
from wizards.declare import TaskRun
from wizards.wizards.create_user import (
    enter_row,
    leaves_row,
    look,
    others,
    remove_account,
    remove_row,
    removes,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> Server:
    return Server.objects.create(name="web1", keymanager_name="web1", ssh_connection="root@198.51.100.20")


def backup_of(server: Server, folder: str) -> Backup:
    store, _new = Server.objects.get_or_create(
        name="store", keymanager_name="store", ssh_connection="root@198.51.100.9"
    )
    return Backup.objects.create(
        source=server, source_folder=folder, destination=store, destination_folder=f"/b{folder}"
    )


def said(server: Server, *, row: int | None = None, ours: bool = True, **account: Any) -> list[str]:
    results: dict[str, dict[str, Any]] = {
        "account": {"ours": ours, "listed": False, **account},
        "row": {"row": row} if row else {},
    }
    return [str(held.text) for held in others({"server": server.pk, "name": "nina"}, results)]


@pytest.mark.parametrize("entered", [True, False])
def test_a_backup_of_its_home_folder(server, entered) -> None:
    row = server.unix_users.create(name="nina").pk if entered else None
    for folder in ("/", "/home", "/home/nina2"):
        backup_of(server, folder)
    assert said(server, row=row) == []
    own, inner = backup_of(server, "/home/nina"), backup_of(server, "/home/nina/mail")
    assert said(server, row=row) == [
        f"the backup {one} copies what lies in its home folder" for one in (own, inner)
    ]
    assert said(server, row=row, ours=False) == []


def test_a_backup_that_comes_as_it_and_gestion_itself(server) -> None:
    row = server.unix_users.create(name="nina")
    backup = backup_of(server, "/etc")
    Server.objects.filter(pk=server.pk).update(
        backup_ssh_connection="-p 222 nina@198.51.100.20", ssh_connection="nina@198.51.100.20"
    )
    assert said(server, row=row.pk) == ["Gestion logs in as it", f"the backup {backup} logs in as it"]
    group = Group.objects.create(name="g")
    group.allowed_unix_users.add(row)
    assert "the group g is allowed on it" in said(server, row=row.pk)


def test_copies_and_shares_that_lie_in_its_home_folder(server) -> None:
    """The undo deletes it: all copies that others had put there went with it."""
    source = Server.objects.create(name="files", keymanager_name="files", ssh_connection="root@198.51.100.9")
    kept = Backup.objects.create(source=source, destination=server, destination_folder="/home/nina/copies")
    Backup.objects.create(source=source, destination=server, destination_folder="/home/nina2")
    left = LeftData.objects.create(uuid=uuid4(), destination=server, folder="/home/nina/old", of="files:/srv")
    LeftData.objects.create(uuid=uuid4(), destination=source, folder="/home/nina/old", of="files:/srv")
    Server.objects.filter(pk=server.pk).update(samba_management=True, samba_base_folder="/home/nina/shares")
    share = Share.objects.create(server=server, name="photos", folder="photos", user="samba-photos")
    assert said(server) == [
        f"the copies of the backup {kept} are in its home folder",
        f"copies of a deleted backup are left in {left}",
        f"the folder of the share {share} is in its home folder",
    ]
    assert said(server, ours=False) == []


def test_its_home_folder_is_where_the_server_had_it_made(server) -> None:
    """Some have HOME=/srv/home in /etc/default/useradd."""
    backup_of(server, "/home/nina")
    own = backup_of(server, "/srv/home/nina")
    assert said(server, home="/srv/home/nina") == [f"the backup {own} copies what lies in its home folder"]


def test_of_a_user_that_was_on_the_list_before_all_else_stands_in_the_way_too(server) -> None:
    """As when the wizard's first try failed, somebody entered it by hand, and the run was resumed."""
    row = server.unix_users.create(name="nina")
    assert said(server, listed=True) == []
    key = make_key(row, "nina")
    backup = backup_of(server, "/home/nina")
    assert said(server, listed=True) == [
        f"The SSH key {key}",
        f"the backup {backup} copies what lies in its home folder",
    ]


def test_a_password_without_the_word_that_one_is_set_is_refused_and_not_dropped(server, admin_client) -> None:
    def post(url: str, body: dict[str, object]) -> Any:
        return admin_client.post(url, body, "application/json", headers={"Accept": "application/json"})

    url = post(
        "/wizards/new/create_user/", {"name": "zoe", "server": server.pk, "shell": "/bin/bash"}
    ).json()["url"]
    pair: dict[str, object] = dict.fromkeys(("password", "password_again"), "correct horse battery")
    refused = post(url, pair)
    assert (refused.status_code, set(refused.json()["errors"])) == (422, set(pair))
    assert post(url, {"with_password": True, **pair}).status_code == 200


def test_the_undo_does_not_say_that_it_removes_another_ones_unix_user(server) -> None:
    """After “There is a unix user nina on the server already” it spoke of removing nina with the home folder."""
    data = {"name": "nina", "server": server.pk, "shell": "/bin/sh"}
    assert removes(data, {"account": {}}) == "No unix user was made"
    assert "with its home folder" in removes(data, {"account": {"ours": True}})


def test_an_undo_leaves_a_row_that_somebody_else_entered_and_takes_back_what_the_run_allowed(server) -> None:
    theirs = server.unix_users.create(name="nina")
    new, old = Group.objects.create(name="new"), Group.objects.create(name="old")
    old.allowed_unix_users.add(theirs)
    data = {"server": server.pk, "name": "nina", "shell": "/bin/sh", "groups": [new.pk, old.pk]}
    facts: dict[str, Any] = {}
    run = TaskRun(
        actor=Actor.system("test"),
        steps=[data],
        facts=facts,
        results={},
        run=Run(Job(), Masker()),
        keep=facts.update,
    )
    enter_row(run)
    said = leaves_row(data, {"row": facts})
    assert "stays in the inventory" in said
    assert said.endswith(": new")
    remove_row(run)
    assert server.unix_users.get() == theirs
    assert list(theirs.allowed_groups.all()) == [old]


def test_of_a_server_that_has_left_the_inventory_an_undo_promises_nothing_and_comes_to_its_end(
    server,
) -> None:
    data = {"server": server.pk, "name": "nina"}
    results: dict[str, Any] = {"account": {"ours": True}, "row": {"row": 7}}
    server.delete()
    assert "not in the inventory any more: nina stays" in removes(data, results)
    assert leaves_row(data, results) == "In the inventory it went with its server"
    look(data, results)
    job_run = Run(Job(), Masker())
    run = TaskRun(
        actor=Actor.system("test"),
        steps=[data],
        facts=results["account"],
        results={},
        run=job_run,
        keep=results["account"].update,
    )
    remove_account(run)
    assert "nina stays" in job_run.take_news().lines[0].text
