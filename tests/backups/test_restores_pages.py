"""The pages of copies, restores and verifications, without a host."""

import json
from dataclasses import asdict
from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry
from backups.earlier import copied_now
from backups.inside_copies import NoPath, file_name, path_of, shown, token_of
from backups.models import Backup, BackupState, CopyFolder, Restore, TaskState, Verification
from backups.models.restores import target_folder
from backups.reading_copies import Entry
from backups.restoring import change_words, changes_of, protected, refusal, restore_work
from backups.services import restores as services
from backups.verifying import verified
from jobs.models import Job
from servers.models import HostKey

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
AT = 1795000000
PARTS = st.lists(
    st.binary(min_size=1, max_size=20).filter(
        lambda part: part not in {b".", b".."} and not set(part) & {0, 47}
    ),
    max_size=5,
)


@pytest.fixture
def backup(rows) -> Backup:
    """mail1:/srv with one copy, hourly.0; the hosts' keys are accepted."""
    made = rows.backup(source_folder="/srv", excludes="/a/*/cache, /b, **/node_modules, /a/[x]")
    BackupState.objects.create(backup=made, copies=[["hourly.0", AT]])
    for server in (rows.mail1, rows.pve1):
        HostKey.objects.create(
            server=server, key="ssh-ed25519 AAAA", fingerprint="x", pinned_at=timezone.now()
        )
    return made


def ready(backup: Backup, **fields) -> Restore:
    fields = {"target": backup.source, "counts": {"new": 1}, "looked_at": timezone.now(), **fields}
    return Restore.objects.create(backup=backup, at=AT, copy="hourly.0", state=TaskState.READY, **fields)


@given(PARTS)
def test_any_path_goes_through_a_url_and_back(parts):
    path = b"/".join(parts)
    assert path_of(token_of(path)) == path
    assert not any(ord(character) < 32 for character in shown(path) + file_name(path))


@pytest.mark.parametrize("path", [b"..", b"a/../b", b"/etc", b"a/", b"a//b", b"./a", b"a\0b"])
def test_no_token_leads_out_of_a_copy(path):
    with pytest.raises(NoPath):
        path_of(token_of(path))


@pytest.mark.parametrize("token", ["ZX", "ZXRj=", "Z", "a/b", "ZXRj\n", "é"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(NoPath):
        path_of(token)


def test_changes_are_read_with_their_odd_names():
    said = b"<f+++++++++ new\\#012line\n<fcst...... \xff-x\n*deleting   old/\n.d..tp..... d/\nnoise\ncL+++++++++ link\n"
    assert changes_of(said) == [
        ["<f+++++++++", "new\\x0aline"],
        ["<fcst......", "\\xff-x"],
        ["*deleting", "old/"],
        [".d..tp.....", "d/"],
        ["cL+++++++++", "link"],
    ]
    assert [change_words(what)[1] for what, _name in changes_of(said)] == [
        "new", "changed", "deleted", "attributes", "new"
    ]  # fmt: skip
    assert change_words("<fcst......")[0] == "written over (content, size, date)"


@given(st.binary(max_size=300))
def test_any_answer_is_read(said):
    changes_of(said)


def test_what_is_left_out_is_protected_wherever_the_restore_begins(backup):
    patterns = copied_now(backup).left_out
    top = {"/b", "/a/*/cache", "/**/node_modules", "/proc/*", "/sys/*", "/a/\\[x]", "/a/[x]"}
    assert set(protected(patterns, b"")) <= top
    assert {"/*/cache", "/**/node_modules"} <= set(protected(patterns, b"a"))
    assert "/cache" in protected(patterns, b"a/one")
    assert "/**" in protected(patterns, b"b/c")
    assert "/cache" not in protected(patterns, b"c/one")


def test_the_target_is_where_it_was_or_the_folder_that_was_typed(rows, backup):
    path = token_of(b"x/\xff\n")
    assert target_folder(Restore(backup=backup, path=path)) == b"/srv/x"
    assert target_folder(Restore(backup=backup, path=path, folder="/r")) == b"/r"
    assert target_folder(Restore(backup=backup)) == b"/srv"
    whole = rows.backup(source=rows.web1)
    assert target_folder(Restore(backup=whole, path=token_of(b"etc/x"))) == b"/etc"
    assert target_folder(Restore(backup=whole, path=token_of(b"etc"))) == b"/"
    row = ready(backup, path=path)
    work = restore_work(row, "abc", look=False)
    assert not any("\n" in str(value) for value in work.values())
    assert "/srv/x on mail1" in refusal(row, "link 2")
    assert "/srv/x on mail1 by now" in refusal(row, "occupied 2")


def test_only_where_nothing_was_there_nothing_may_be_there_by_now(rows, backup):
    """Where something was, a second word was given for it."""
    for facts, fresh in (({}, "yes"), ({"there": True}, ""), ({"counts": {"changed": 1}}, "")):
        row = Restore(backup=backup, target=rows.web1, at=AT, copy="hourly.0", **facts)
        assert restore_work(row, "abc", look=False)["fresh"] == fresh, facts
        assert restore_work(row, "abc", look=True)["fresh"] == ""


def test_a_folder_is_read_once_and_then_shown(admin_client, backup):
    url = f"/backups/{backup.pk}/copies/{AT}/"
    assert b"The backup server is being asked" in admin_client.get(url).content
    assert admin_client.get(url, headers=JSON).json()["reading"]
    assert Job.objects.filter(work="backups.read_folder").count() == 1
    entries = [
        Entry("d", "755", 0, 0, 4096, 1e9, token_of(b"home")),
        Entry("f", "644", 1, 2, 10, 1e9, token_of(b"<b>\n\xff")),
        Entry("l", "777", 0, 0, 9, 1e9, token_of(b"link"), "/etc/passwd"),
    ]
    rows = CopyFolder.objects.filter(backup=backup)
    rows.update(read_at=timezone.now(), total=5000, entries=[asdict(entry) for entry in entries])
    page = admin_client.get(url).content.decode()
    assert "3 of 5000 are shown" in page
    assert "&lt;b&gt;\\x0a\\xff" in page
    assert "<b>\\x0a" not in page
    said = admin_client.get(url, headers=JSON).json()
    assert [entry["name"] for entry in said["entries"]] == ["home", "<b>\\x0a\\xff", "link"]
    assert admin_client.get(f"/backups/{backup.pk}/copies/{AT + 1}/").status_code == 404
    assert admin_client.get(f"/backups/{backup.pk}/copies/{AT}/in/Li4/").status_code == 404  # ".."


def test_only_who_owns_the_source_may_look_into_its_copies(rows, backup, member, client):
    rows.backup1.owners.add(member)
    assert not Backup.objects.visible_to(member).exists()
    client.force_login(member)
    assert client.get(f"/backups/{backup.pk}/").status_code == 404
    assert client.get(f"/backups/{backup.pk}/copies/{AT}/").status_code == 404
    rows.mail1.owners.add(member)
    assert client.get(f"/backups/{backup.pk}/copies/{AT}/").status_code == 200
    form = client.get(f"/backups/{backup.pk}/copies/{AT}/restore/").content.decode()
    assert "mail1" in form
    assert "pve1" not in form  # somebody else's


def ask(client, backup, **body):
    url = f"/backups/{backup.pk}/copies/{AT}/in/{token_of(b'x')}/restore/"
    return client.post(url, json.dumps(body), content_type="application/json", headers=JSON)


def test_a_restore_is_looked_at_first_and_needs_a_second_word(admin_client, rows, backup):
    said = ask(admin_client, backup, where="origin", checksum=True).json()
    row = Restore.objects.get()
    assert (said["id"], row.state, row.target, row.folder) == (row.pk, TaskState.LOOKING, rows.mail1, "")
    assert admin_client.post(f"/backups/restores/{row.pk}/begin/", headers=JSON).status_code == 409
    facts = {"state": TaskState.READY, "looked_at": timezone.now(), "counts": {"changed": 2, "deleted": 1}}
    Restore.objects.update(**facts, changes=[["<fcst......", "x"]])
    page = admin_client.get(row.get_absolute_url()).content.decode()
    assert "2 files are written over." in page
    assert "written over (content, size, date)" in page
    asked = admin_client.post(f"/backups/restores/{row.pk}/begin/", headers=JSON)
    assert asked.status_code == 409
    assert "2 files are written over." in asked.json()["errors"]["confirm_lockout"]
    row.refresh_from_db()
    assert row.state == TaskState.READY
    word = json.dumps({"confirm_lockout": True})
    url = f"/backups/restores/{row.pk}/begin/"
    assert admin_client.post(url, word, content_type="application/json", headers=JSON).json()["ok"]
    row.refresh_from_db()
    assert row.state == TaskState.RUNNING
    actions = set(AuditEntry.objects.values_list("verb", flat=True))
    assert {"backup.restore_preview", "backup.restore", "backup.restored_to"} <= actions
    assert admin_client.post(f"/backups/restores/{row.pk}/stop/", headers=JSON).json()["ok"]


@pytest.mark.services
def test_one_restore_a_target_at_a_time(admin_client, backup):
    first, second = ready(backup), ready(backup)
    services.begin_restore(services_actor(), first)
    with pytest.raises(services.RestoreRefused, match="Another restore"):
        services.begin_restore(services_actor(), second)
    old = ready(backup, looked_at=timezone.now() - timedelta(days=2))
    with pytest.raises(services.RestoreRefused, match="older than a day"):
        services.begin_restore(services_actor(), old)


def services_actor():
    from accounts.actors import Actor

    return Actor.system("test")


def test_what_cannot_go_well_is_refused(admin_client, rows, backup):
    answers = {
        "folder": ask(admin_client, backup, where="elsewhere"),
        "/proc/x": ask(admin_client, backup, where="elsewhere", folder="/proc/x"),
        "..": ask(admin_client, backup, where="elsewhere", folder="/a/../b"),
        "newline": ask(admin_client, backup, where="elsewhere", folder="/a\nb"),
        "copies": ask(
            admin_client, backup, where="elsewhere", folder="/backups/mail1/x", target=rows.backup1.pk
        ),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(answers, 422)
    around = {"where": "elsewhere", "folder": "/", "target": rows.backup1.pk}
    assert (
        ask(admin_client, backup, **around, delete_extra=True).status_code == 422
    )  # would delete the copies
    assert ask(admin_client, backup, **around).json()["ok"]
    HostKey.objects.all().delete()
    assert "No host key" in ask(admin_client, backup, where="origin").content.decode()


@pytest.mark.services
def test_a_backup_says_when_it_was_verified(admin_client, rows, backup, settings):
    assert not verified([backup])[backup.pk].red
    Backup.objects.update(created_at=timezone.now() - timedelta(days=60))
    backup.refresh_from_db()
    assert verified([backup])[backup.pk].overdue
    assert "not been verified for too long" in admin_client.get("/").content.decode()
    [asked] = services.verify_due()
    assert services.verify_due() == []
    assert admin_client.post(f"/backups/{backup.pk}/verify/", headers=JSON).status_code == 409
    Verification.objects.filter(pk=asked.pk).update(
        state="failed", error="3 files differ", ended_at=timezone.now()
    )
    assert verified([backup])[backup.pk].failed
    assert "3 files differ" in admin_client.get(backup.get_absolute_url()).content.decode()
    Verification.objects.filter(pk=asked.pk).update(state="done", error="")
    assert not verified([backup])[backup.pk].red
    assert admin_client.get(backup.get_absolute_url(), headers=JSON).json()["verified_at"]
    assert services.verify_due() == []
    Backup.objects.update(verify="off")
    Verification.objects.all().delete()
    assert services.verify_due() == []


@pytest.mark.services
def test_where_copies_could_not_be_verified_nothing_says_that_all_is_right(admin_client, rows):
    now = timezone.now()
    made = [rows.backup(destination_folder=f"/backups/{number}") for number in range(7)]
    for row in made:
        BackupState.objects.create(backup=row, rotated={level: now.isoformat() for level in row.keeps})

    def seen() -> tuple[bool, int, int]:
        page = admin_client.get("/").content.decode()
        red = admin_client.get("/backups/?state=red", headers=JSON).json()["total"]
        unproved = admin_client.get("/backups/?state=unproved", headers=JSON).json()["total"]
        return "everything is right" in page, red, unproved

    assert seen() == (True, 0, 0)
    for row in made[1:]:
        Verification.objects.create(
            backup=row, at=AT, copy="hourly.0", state="failed", error="3 files differ", ended_at=now
        )
    assert seen() == (False, 6, 6)
    assert "and 1 more backup: not verified" in admin_client.get("/").content.decode()
    listed = admin_client.get("/backups/", headers=JSON).json()["rows"]
    assert ["3 files differ" in row["verification"] for row in listed] == [True] * 6 + [False]
    for url in ("/backups/", made[1].get_absolute_url(), made[1].source.get_absolute_url()):
        assert "not verified" in admin_client.get(url).content.decode()
    Backup.objects.filter(pk__in=[row.pk for row in made[1:]]).update(active=False)
    assert seen() == (True, 0, 0)


def test_many_backups_need_no_more_queries(rows, django_assert_num_queries):
    few = [rows.backup(destination_folder=f"/backups/{number}") for number in range(2)]
    many = few + [rows.backup(destination_folder=f"/backups/{number}") for number in range(2, 12)]
    for row in many:
        Verification.objects.create(backup=row, at=AT, copy="hourly.0", state="done", ended_at=timezone.now())
    for found in (few, many):
        with django_assert_num_queries(2):
            verified(found)
