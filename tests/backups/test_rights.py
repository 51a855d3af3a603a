"""Whose right a run, a restore and a verification need, at each step, also when it is lost in between."""

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from backups import rights
from backups.models import Backup, BackupRun, BackupState, Level, Restore, RunState, TaskState, Why
from backups.services import plans, restores, runs
from backups.services.restores import RestoreRefused
from backups.services.runs import RunRefused
from backups.telling import visible
from backups.telling_restores import _may_see
from jobs.models import Job, JobState
from jobs.rights import check
from pages.second_word import second_word
from servers.models import HostKey
from tests.jobs.working import work_off

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
AT = 1795000000


@pytest.fixture
def backup(rows) -> Backup:
    """mail1:/srv with one copy, hourly.0; the hosts' keys are accepted."""
    made = rows.backup(source_folder="/srv", excludes="/secret")
    BackupState.objects.create(backup=made, copies=[["hourly.0", AT]])
    for server in (rows.mail1, rows.pve1, rows.web1):
        HostKey.objects.create(
            server=server, key="ssh-ed25519 AAAA", fingerprint="x", pinned_at=timezone.now()
        )
    return made


def person(name: str, *servers) -> User:
    made = User.objects.create_user(name, "correct horse battery")
    for server in servers:
        server.owners.add(made)
    return made


@pytest.fixture
def owner(rows) -> User:
    """Who owns mail1, which is copied, and web1."""
    return person("olu", rows.mail1, rows.web1)


def acting(who: User) -> Actor:
    return Actor(who, who.username)


def to_web1(backup: Backup, rows, **fields) -> Restore:
    return Restore(backup=backup, at=AT, target=rows.web1, folder="/restored", **fields)


def ready(restore: Restore) -> Restore:
    Restore.objects.filter(pk=restore.pk).update(state=TaskState.READY, looked_at=timezone.now(), job=None)
    Job.objects.all().delete()
    restore.refresh_from_db()
    return restore


def lose_target(owner: User, rows) -> None:
    rows.web1.owners.remove(owner)


def lose_source(owner: User, rows) -> None:
    rows.mail1.owners.remove(owner)


def deactivate(owner: User, _rows) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)


def delete(owner: User, _rows) -> None:
    owner.delete()


LOSSES = [lose_target, lose_source, deactivate, delete]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_preview_is_not_begun_once_the_right_is_lost(backup, rows, owner, lose):
    restore = restores.ask_restore(acting(owner), to_web1(backup, rows))
    lose(owner, rows)
    work_off()
    restore.refresh_from_db()
    assert (restore.state, restore.code, restore.begun) == (TaskState.FAILED, "rights", False)
    assert restore.error == "olu may no longer operate what this concerns: it was not begun."
    assert restore.job is not None
    assert restore.job.state == JobState.FAILED
    assert AuditEntry.objects.filter(verb="job.refuse", object_id=str(restore.job_id)).exists()


@pytest.mark.parametrize("lose", LOSSES)
def test_a_restore_that_was_confirmed_is_not_begun_once_the_right_is_lost(backup, rows, owner, lose):
    restore = ready(restores.ask_restore(acting(owner), to_web1(backup, rows)))
    restores.begin_restore(acting(owner), restore)
    lose(owner, rows)
    work_off()
    restore.refresh_from_db()
    assert (restore.state, restore.code, restore.begun) == (TaskState.FAILED, "rights", False)


@pytest.mark.parametrize("lose", [lose_target, lose_source, deactivate])
def test_confirming_repeating_and_stopping_ask_for_the_right_anew(backup, rows, owner, lose):
    restore = ready(restores.ask_restore(acting(owner), to_web1(backup, rows)))
    lose(owner, rows)
    with pytest.raises(RestoreRefused, match="olu may no longer do this"):
        restores.begin_restore(acting(owner), restore)
    with pytest.raises(RestoreRefused, match="olu may no longer do this"):
        restores.look_again(acting(owner), restore)
    Restore.objects.filter(pk=restore.pk).update(state=TaskState.RUNNING)
    with pytest.raises(RunRefused, match="olu may no longer do this"):
        restores.stop_task(acting(owner), restore)
    restore.refresh_from_db()
    assert (restore.state, restore.stop_asked_at) == (TaskState.RUNNING, None)


def test_what_runs_on_the_backup_server_is_followed_on(backup, rows, owner):
    restore = ready(restores.ask_restore(acting(owner), to_web1(backup, rows)))
    restores.begin_restore(acting(owner), restore)
    Restore.objects.filter(pk=restore.pk).update(begun=True)
    lose_target(owner, rows)
    job = Job.objects.filter(work=restores.RESTORE).latest("pk")
    check(job)  # raises nothing
    assert not Job.objects.visible_to(owner).filter(pk=job.pk).exists()


@pytest.mark.parametrize("lose", [lose_source, deactivate, delete])
def test_a_run_that_waited_for_its_turn_is_not_begun_once_the_right_is_lost(backup, rows, owner, lose):
    run = runs.run_now(acting(owner), backup)
    lose(owner, rows)
    runs.dispatch(backup.destination)
    work_off()
    run.refresh_from_db()
    assert (run.state, run.code, run.begun) == (RunState.FAILED, "rights", False)
    # What the schedule wants is not kept from its turn by that.
    assert runs.due_levels(backup, runs.here_and_now()) != []


def test_a_run_that_the_panel_wanted_as_well_is_begun(backup, rows, owner):
    with transaction.atomic():  # it waits: the backup server is asked on commit
        run = runs.run_now(acting(owner), backup)
        assert runs.ask_run(Actor.system("scheduler"), backup, Why.SCHEDULE, [Level.HOURLY]) == run
    lose_source(owner, rows)
    runs.dispatch(backup.destination)
    run.refresh_from_db()
    assert run.job is not None
    check(run.job)  # raises nothing


def test_stopping_a_run_asks_for_the_right(backup, rows, owner):
    run = runs.run_now(acting(owner), backup)
    lose_source(owner, rows)
    with pytest.raises(RunRefused):
        runs.stop_run(acting(owner), run)
    with pytest.raises(RunRefused):
        runs.run_now(acting(owner), backup)
    with pytest.raises(RunRefused):
        restores.ask_verification(acting(owner), backup)


def test_who_owns_the_backup_server_only_hears_and_sees_nothing_of_the_source(backup, rows):
    keeper = person("kim", rows.backup1)
    run = BackupRun.objects.create(backup=backup, state=RunState.FAILED, error="secret", output="secret")
    restore = to_web1(backup, rows, copy="hourly.0", state=TaskState.DONE)
    restore.save()
    assert not visible(backup)(keeper)
    assert not _may_see(restore)(keeper)
    client = Client()
    client.force_login(keeper)
    for path in (
        f"/backups/{backup.pk}/",
        f"/backups/{backup.pk}/runs/",
        f"/backups/runs/{run.pk}/",
        f"/backups/zabbix/state/{backup.pk}",
    ):
        assert client.get(path).status_code == 404, path
    for path in (f"/backups/{backup.pk}/run/", f"/backups/runs/{run.pk}/stop/", f"/backups/{backup.pk}/try/"):
        assert client.post(path).status_code == 404, path
    assert client.get("/backups/health/").json()["total"] == 0
    assert client.get("/backups/zabbix/list/_").json() == {"data": []}


def test_the_target_of_a_restore_is_told_of_it_only_with_the_source(backup, rows, owner):
    restore = to_web1(backup, rows, copy="hourly.0", state=TaskState.DONE)
    restore.save()
    assert rights.touched(restore) == {rows.mail1.pk, rows.web1.pk}
    assert _may_see(restore)(owner)
    for name, server in (("pat", rows.web1), ("max", rows.mail1)):
        assert not _may_see(restore)(person(name, server))


def test_who_owns_a_backups_new_source_alone_reads_no_copy_of_its_old_one(backup, rows, client):
    """An admin has given the backup of mail1 another source."""
    with second_word():
        backup.source = rows.web1
        plans.change_backup(Actor.system("x"), backup, version=backup.version)
    new, both = person("nia", rows.web1), person("bo", rows.web1, rows.mail1)
    copy = f"/backups/{backup.pk}/copies/{AT}/"
    for url in (copy, f"{copy}restore/", f"{copy}in/YQ/", f"{copy}in/YQ/restore/"):
        for who, status in ((new, 404), (both, 200)):
            client.force_login(who)
            assert client.get(url).status_code == status
    client.force_login(new)
    assert client.get(f"{copy}in/YQ/file/").status_code == 405
    assert client.post(f"{copy}in/YQ/file/").status_code == 404
    with pytest.raises(RestoreRefused):
        restores.ask_restore(acting(new), to_web1(Backup.objects.get(), rows))
    assert restores.ask_restore(acting(both), to_web1(Backup.objects.get(), rows)).pk
