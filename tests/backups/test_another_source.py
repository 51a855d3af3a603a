"""A backup that has copies gets another source: it asks first, and the copies stay known for what they are of."""

import base64
import json
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from accounts.actors import Actor
from backups.earlier import elsewhere
from backups.models import Backup, BackupState, Restore, TaskState
from backups.restoring import restore_work
from backups.services import plans
from pages.second_word import second_word
from servers.models import HostKey

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
OLD, ACTOR = 1795000000, Actor.system("x")


@pytest.fixture
def backup(rows) -> Backup:
    """mail1:/srv with one copy; the hosts' keys are accepted."""
    made: Backup = rows.backup(source_folder="/srv/mail")
    BackupState.objects.create(backup=made, copies=[["hourly.0", OLD]])
    for server in (rows.mail1, rows.pve1):
        HostKey.objects.create(
            server=server, key="ssh-ed25519 AAAA", fingerprint="x", pinned_at=timezone.now()
        )
    return made


def edit(client, backup: Backup, **fields):
    return client.post(f"/backups/{backup.pk}/edit/", json.dumps(fields), "application/json", headers=JSON)


def of_old(backup: Backup) -> str:
    return elsewhere(backup, BackupState.objects.get(backup=backup), OLD)


def page(client, path: str) -> str:
    return client.get(path).content.decode()


def test_another_source_is_asked_for_and_names_both(admin_client, backup, rows):
    for fields in ({"source": rows.pve1.pk}, {"source_folder": "/srv/other"}):
        answer = edit(admin_client, backup, **fields)
        assert answer.status_code == 409
        assert str(backup) in answer.json()["errors"]["confirm_lockout"][0]
    backup.refresh_from_db()
    assert (backup.source, backup.source_folder) == (rows.mail1, "/srv/mail")
    assert edit(admin_client, backup, source_folder="/srv/other", confirm_lockout=True).status_code == 200


def test_what_is_no_other_source_or_has_no_copy_is_not_asked(admin_client, backup, rows):
    assert edit(admin_client, backup, source_folder="/srv/mail/", note="x").status_code == 200
    BackupState.objects.update(copies=[])
    assert edit(admin_client, backup, source_folder="/srv/other").status_code == 200


def test_the_copies_stay_known_for_what_they_are_of(admin_client, backup, rows):
    new = int(timezone.now().timestamp()) + 60
    assert edit(admin_client, backup, source=rows.pve1.pk, confirm_lockout=True).status_code == 200
    BackupState.objects.update(copies=[["hourly.0", new], ["hourly.1", OLD]])
    url = f"/backups/{backup.pk}/"
    told = admin_client.get(url, headers=JSON).json()["copies_there"]
    name = "mail1:/srv/mail"
    assert [one["of"] for one in told] == ["", name]
    assert f"of {name}" in page(admin_client, url)
    assert f"Copy of {name}" in page(admin_client, f"{url}copies/{OLD}/")
    assert "This copy is of /srv/mail on mail1" in page(admin_client, f"{url}copies/{OLD}/restore/")
    assert "Where it was" in page(admin_client, f"{url}copies/{new}/restore/")


def test_it_stays_known_when_the_backup_is_deleted_and_taken_up_again(backup, rows):
    before = str(backup)
    with second_word():
        backup.source_folder = "/srv/other"
        plans.change_backup(ACTOR, backup, version=backup.version)
    left = plans.delete_backup(ACTOR, backup)
    assert left is not None
    assert of_old(plans.take_up(ACTOR, left)) == before


def test_back_at_its_first_source_its_first_copies_are_its_own_again(backup, rows):
    with second_word():
        for folder in ("/srv/other", "/srv/mail"):
            backup.source_folder = folder
            backup = plans.change_backup(ACTOR, backup, version=backup.version)
    assert of_old(Backup.objects.get()) == ""


def test_it_is_not_good_until_the_new_source_was_copied(admin_client, backup):
    now = timezone.now().isoformat()
    BackupState.objects.update(rotated={"hourly": now, "daily": now})
    Backup.objects.update(created_at=timezone.now() - timedelta(days=40))
    assert admin_client.get(f"/backups/{backup.pk}/", headers=JSON).json()["state"] == "ok"
    assert edit(admin_client, backup, source_folder="/srv/other", confirm_lockout=True).status_code == 200
    told = admin_client.get(f"/backups/{backup.pk}/", headers=JSON).json()
    assert (told["state"], told["late"]) == ("overdue", ["hourly"])
    assert datetime.fromisoformat(told["next_run"]) <= timezone.now()
    assert BackupState.objects.get().rotated == {"daily": now}  # nothing is rotated away for it


def test_the_form_for_such_a_copy_asks_for_a_folder(admin_client, backup, rows):
    assert edit(admin_client, backup, source=rows.pve1.pk, confirm_lockout=True).status_code == 200
    url = f"/backups/{backup.pk}/copies/{OLD}/restore/"
    refused = admin_client.post(url, '{"where": "origin"}', "application/json", headers=JSON)
    assert list(refused.json()["errors"]) == ["where"]
    answer = admin_client.post(url, '{"folder": "/restored"}', "application/json", headers=JSON)
    assert answer.status_code == 200, answer.content


def test_a_restore_that_was_begun_goes_to_where_it_was_and_one_that_is_done_says_where_it_went(
    admin_client, backup, rows
):
    row = Restore.objects.create(backup=backup, at=OLD, target=rows.mail1, state=TaskState.RUNNING)
    assert edit(admin_client, backup, source_folder="/srv/a/b", confirm_lockout=True).status_code == 200
    row = Restore.objects.get(pk=row.pk)  # by a worker whose turn, or whose backup server, came only now
    work = restore_work(row, "r1", look=False)
    assert (base64.b64decode(str(work["target"])), work["plain"]) == (b"/srv/mail", 2)
    Restore.objects.update(state=TaskState.DONE, ended_at=timezone.now())
    told = admin_client.get(row.get_absolute_url(), headers=JSON).json()
    assert told["folder"] == "/srv/mail"
    assert "/srv/mail" in page(admin_client, f"/backups/{backup.pk}/restores/")
