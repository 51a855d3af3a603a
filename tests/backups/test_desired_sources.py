"""What lets a source be read as root: golden files, and only where it is wanted and needed."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups import desired_sources
from backups.configs import NotWritable
from backups.desired_plans import files as plan_files
from backups.desired_plans import plan_of
from backups.desired_sources import FOLDERS, MORE_SETTINGS, SUDOERS, Reader, desired, files
from backups.models import Backup, BackupState
from backups.services.plans import create_backup, delete_backup, take_up
from hosts import engine
from hosts.memory import MemoryHost
from hosts.state import File
from servers.models import Rollout, Server
from servers.services import change_server

GOLDEN = Path(__file__).parent.parent / "golden" / "backup-source"
ONE, TWO = UUID(int=1), UUID(int=2)
READERS = [
    Reader("keeper", ONE, "/srv/my [odd] files"),
    Reader("backup.2", TWO, "/"),
    Reader("keeper", TWO, "/a"),
]


@pytest.fixture
def source(rows) -> Server:
    """mail1, where the backup server comes as keeper."""
    Server.objects.filter(pk=rows.mail1.pk).update(backup_ssh_connection="keeper@198.51.100.20")
    rows.mail1.refresh_from_db()
    return rows.mail1


def made(readers: list[Reader]) -> dict[str, str]:
    return {file.path: file.content.decode() for file in files(readers)}


@pytest.mark.parametrize("path", [SUDOERS, FOLDERS])
def test_the_files_are_what_their_golden_files_say(path):
    assert made(READERS)[path] == (GOLDEN / Path(path).name).read_text()


@pytest.mark.skipif(shutil.which("visudo") is None, reason="sudo is not installed")
def test_visudo_reads_them(tmp_path):
    (tmp_path / "sudoers").write_text(made(READERS)[SUDOERS])
    subprocess.run(["visudo", "-c", "-f", tmp_path / "sudoers"], check=True)


# As sudo-rs answers, which Ubuntu has had in the place of sudo since 25.10: it refuses settings that it does not know.
SUDO_RS = """#!/bin/sh
! grep -E 'requiretty|log_input|log_output' "$3" >&2
"""
visudos = pytest.mark.parametrize("rust", [False, True], ids=["sudo", "sudo-rs"])


@pytest.fixture
def sudoers(tmp_path, monkeypatch, rust) -> Path:
    """The rule as it lies in a folder of sudo's, on a host with one of the two sudos."""
    if rust:
        (tmp_path / "visudo").write_text(SUDO_RS)
        (tmp_path / "visudo").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    elif shutil.which("visudo") is None:
        pytest.skip("sudo is not installed")
    (tmp_path / "sudoers.d").mkdir()
    rule = tmp_path / "sudoers.d/zz"
    rule.write_text(made(READERS)[SUDOERS])
    return rule


@visudos
def test_each_sudo_takes_the_rule_and_what_it_knows_of_the_rest(sudoers, rust):
    """What the other one does not know would be told to everybody there, each time that sudo is used."""
    subprocess.run(["sh", "-c", desired_sources.CHECK, "sh", sudoers], check=True)
    more = sudoers.with_name("zz-more")

    def said(how: str) -> str:
        argv = ["sh", "-c", desired_sources.MORE, "sh", how, sudoers, more, MORE_SETTINGS]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == (done.stdout == "")
        return done.stdout

    assert bool(said("look")) == (not rust)
    assert said("put") == said("look") == ""
    assert more.exists() == (not rust)
    assert rust or (more.read_text(), more.stat().st_mode & 0o777) == (f"{MORE_SETTINGS}\n", 0o440)
    more.write_text("Defaults !requiretty\n")  # by hand, or by the sudo that was there before
    assert said("look")
    assert said("put") == said("look") == ""
    sudoers.unlink()
    assert bool(said("look")) == (not rust)
    assert said("put") == said("look") == ""
    assert [path.name for path in sudoers.parent.iterdir()] == []


@given(st.text(max_size=20), st.text(max_size=30).map(lambda text: f"/{text}"))
def test_whatever_user_and_folder_are_called_the_files_have_the_same_lines(user, folder):
    try:
        found = made([Reader(user, ONE, folder)])
    except NotWritable:
        return
    assert re.fullmatch(r"[a-z_][a-z0-9_.-]*", user)
    assert found[SUDOERS].count("\n") == 4
    assert found[FOLDERS] == f"{user}\t{ONE}\t{folder}\n"


@pytest.mark.parametrize(
    "user", ["ALL", "Backup", "%sudo", "#0", "+net", "a b", "a,b", "a\\", "a=b", "!a", "a@b"]
)
def test_a_user_that_sudoers_reads_as_something_else_is_not_written(user):
    with pytest.raises(NotWritable):
        files([Reader(user, ONE, "/srv")])


def test_only_backups_that_want_it_and_need_it_have_it(rows, source):
    assert desired(source).items == ()
    backup = rows.backup(source_folder="/srv", as_root=True)
    rows.backup(source_folder="/opt/x", destination_folder="/backups/y")
    state = desired(source)
    found = {item.path: item for item in state.items if isinstance(item, File)}
    assert found[SUDOERS].mode == 0o440
    assert found[FOLDERS].content.decode() == f"keeper\t{backup.uuid}\t/srv\n"
    config = plan_files(plan_of(backup))[0].content.decode()
    assert f"source:/{backup.uuid}/" in config
    assert "--no-protect-args --rsync-path=/usr/local/lib/gestion/backup-source" in config
    Server.objects.filter(pk=source.pk).update(backup_ssh_connection="root@198.51.100.20")
    backup.refresh_from_db()
    assert desired(source).items == ()
    assert "source:/srv/" in plan_files(plan_of(backup))[0].content.decode()


def test_a_user_that_sudoers_cannot_say_is_told(rows, source):
    Server.objects.filter(pk=source.pk).update(backup_ssh_connection="Keeper@198.51.100.20")
    rows.backup(source_folder="/srv", as_root=True)
    state = desired(source)
    assert state.items == ()
    assert "cannot stand in sudoers" in state.left_out[0]


def test_visudo_reads_it_before_it_counts_and_sudo_is_tried_as_that_user(rows, source):
    rows.backup(as_root=True)
    state = desired(source)
    host = MemoryHost()
    engine.apply(host, engine.plan(host, state))
    commands = [argv[0] if argv[0] != "sh" else argv[4] for argv in host.ran]
    assert (commands[0], commands[2:]) == ("look", ["put", "runuser"])
    assert host.ran[1][2] == desired_sources.CHECK
    assert engine.plan(host, state).empty


def test_the_source_is_rolled_out_when_a_backup_comes_goes_or_its_way_changes(rows, source, actor):
    def asked() -> bool:
        return bool(Rollout.objects.filter(server=source, kind=desired_sources.KIND).delete()[0])

    create_backup(actor, rows.unsaved(source_folder="/a", destination_folder="/backups/a"))
    assert not asked()
    planned = rows.unsaved(source_folder="/srv", destination_folder="/backups/b", as_root=True)
    create_backup(actor, planned)
    assert asked()
    source.backup_ssh_connection = "root@198.51.100.20"
    change_server(actor, source, version=source.version)
    assert asked()
    delete_backup(actor, Backup.objects.get(pk=planned.pk))
    assert asked()


def test_copies_are_taken_up_again_where_root_is_let_in_by_now(rows, source, actor):
    """Nothing can be unticked there, so it was refused for good: “logs in as root already”."""
    backup = create_backup(actor, rows.unsaved(source=source, source_folder="/srv", as_root=True))
    BackupState.objects.create(backup=backup)
    left = delete_backup(actor, backup)
    assert left is not None
    source.backup_ssh_connection = "root@198.51.100.20"
    change_server(actor, source, version=source.version)
    assert not take_up(actor, left).as_root
    left = delete_backup(actor, Backup.objects.get())
    assert left is not None
    left.settings["as_root"] = True
    left.save()
    Server.objects.filter(pk=source.pk).update(backup_ssh_connection="keeper@198.51.100.20")
    assert take_up(actor, left).as_root


def test_what_it_does_is_said_for_what_is_really_read_and_for_nothing_else(rows, source):
    rows.backup(source_folder="/opt/x", destination_folder="/backups/y")
    assert list(desired_sources.does(source)) == []
    rows.backup(source_folder="/srv/[1] $x", as_root=True)
    words = "files are read as root by sudo: /srv/[1] $x, for keeper"
    assert list(desired_sources.does(source)) == [words]
    for user in ("Keeper", "root"):
        Server.objects.filter(pk=source.pk).update(backup_ssh_connection=f"{user}@198.51.100.20")
        assert list(desired_sources.does(source)) == []
