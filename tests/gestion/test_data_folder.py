"""DATA_DIR is for the panel's user alone, however it was made: mended at every start, and told where it cannot be."""

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as ours

from gestion import checks, data_folder
from gestion.panel_backup import secrets_file
from tests.panel import ROOT, Panel

NOBODY = pwd.getpwnam("nobody").pw_uid
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")


def manage(folder: Path, *argv: str, good: bool = True) -> str:
    """A management command as a person runs it: with a wide umask, and no settings but the folder."""
    env = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder), "GESTION_ENV_FILE": os.devnull}
    done = subprocess.run(
        [sys.executable, "manage.py", *argv],
        cwd=ROOT, env=env, umask=0o022, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode == 0) is good, done.stdout + done.stderr
    return done.stdout + done.stderr


def open_to_others(folder: Path) -> list[str]:
    """All below the folder, and itself, that others may do anything with; what is meant for a web server aside."""
    found = [folder, *(path for path in folder.rglob("*") if "static" not in path.parts)]
    return sorted(str(path) for path in found if mode_of(path) & 0o077 and not path.is_symlink())


def mode_of(path: Path) -> int:
    """The mode; 0 for what a running panel has taken away since it was listed, such as a message."""
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


@pytest.fixture
def wide(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    return folder


def test_a_folder_that_was_there_and_open_is_closed_and_so_is_what_comes_into_it(wide):
    manage(wide, "migrate", "--verbosity", "0")
    assert (wide / "gestion.sqlite3").stat().st_mode & 0o777 == 0o600
    assert open_to_others(wide) == []


def test_what_earlier_versions_left_open_is_closed_at_the_next_start(wide):
    manage(wide, "migrate", "--verbosity", "0")
    message = wide / "broker" / "1.default.msg"
    leftovers = [wide / "gestion.sqlite3-wal", wide / "gestion.sqlite3-shm", wide / "gestion.sqlite3-journal",
                 wide / "secret_key.before-restore", wide / "gestion.sqlite3.before-restore", message]  # fmt: skip
    for path in leftovers:
        path.touch()
    for path in wide.rglob("*"):
        path.chmod(0o777 if path.is_dir() else 0o666)
    wide.chmod(0o777)
    assert "gestion.W013" not in manage(wide, "check")
    assert open_to_others(wide) == []


def test_the_running_panel_makes_no_file_for_others(wide):
    before = os.umask(0o022)
    try:
        panel = Panel(wide)
        with panel:
            backup = wide.parent / "backup.tar"
            panel.manage("backup_panel", str(backup))
            panel.manage("shell", "--no-imports", "-c", QUEUE)
            names = {path.name for path in wide.iterdir()}
            found = [path for path in open_to_others(wide) if not path.endswith("panel.log")]
    finally:
        os.umask(before)
    assert {"gestion.sqlite3", "broker", "panel.lock"} <= names
    assert found == []
    assert backup.stat().st_mode & 0o777 == 0o600


QUEUE = "from gestion.celery import app; app.send_task('nothing', queue='nobody')"


def test_static_files_stay_readable_for_a_web_server(wide, tmp_path):
    static = tmp_path / "static"
    env = {
        "PATH": os.environ["PATH"],
        "DATA_DIR": str(wide),
        "GESTION_ENV_FILE": os.devnull,
        "STATIC_ROOT": str(static),
    }
    argv = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
    subprocess.run(argv, cwd=ROOT, env=env, umask=0o077, check=True, capture_output=True, timeout=120)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (static, *static.rglob("*")) if path.is_dir()}
    assert modes == {0o755}
    assert {stat.S_IMODE(path.stat().st_mode) for path in static.rglob("*") if path.is_file()} == {0o644}


def test_a_link_in_the_folder_closes_nothing_elsewhere(wide, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("x")
    elsewhere.chmod(0o644)
    (wide / "gestion.sqlite3-wal").symlink_to(elsewhere)
    data_folder.close(wide, [])
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o644


@pytest.mark.parametrize("folder", ["/", "/var/lib", "/tmp"])
def test_a_folder_that_a_machine_shares_is_never_closed_but_told_of(settings, folder):
    before = Path(folder).stat().st_mode
    assert data_folder.is_shared(Path(folder))
    settings.DATA_DIR = Path(folder)
    if os.access(folder, os.W_OK):
        assert [message.id for message in checks.check_data_dir()] == ["gestion.W021"]
    assert Path(folder).stat().st_mode == before


def test_a_sticky_folder_keeps_its_mode_and_the_panels_files_are_closed_all_the_same(wide):
    wide.chmod(0o1777)
    (wide / "gestion.sqlite3").touch(mode=0o644)
    data_folder.close(wide, ["SECRET_KEY"])
    assert stat.S_IMODE(wide.stat().st_mode) == 0o1777
    assert stat.S_IMODE((wide / "gestion.sqlite3").stat().st_mode) == 0o600


@root_only
def test_root_does_not_work_in_another_users_folder_and_says_whose_it_is(wide):
    os.chown(wide, NOBODY, -1)
    words = manage(wide, "migrate", good=False)
    assert f"belongs to the user with the number {NOBODY}" in words
    assert list(wide.iterdir()) == []


@root_only
def test_a_file_of_another_user_is_told_of_and_how_to_mend_it(settings, wide):
    settings.DATA_DIR = wide
    (wide / "gestion.sqlite3").touch()
    (wide / "gestion.sqlite3").chmod(0o644)
    os.chown(wide / "gestion.sqlite3", NOBODY, -1)
    data_folder.close(wide, [])
    (message,) = checks.check_data_dir()
    assert message.id == "gestion.W013"
    assert str(wide / "gestion.sqlite3") in message.msg
    assert f"chown -R root {wide}" in str(message.hint)


def test_a_database_elsewhere_is_closed_with_what_lies_beside_it(tmp_path):
    for name in ("panel[1].db", "panel[1].db-wal", "panel1.db"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    data_folder.close_database(tmp_path / "panel[1].db")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"panel[1].db": 0o600, "panel[1].db-wal": 0o600, "panel1.db": 0o644}


def test_every_secret_of_our_own_is_among_those_that_are_closed():
    assert set(secrets_file.NAMES) == set(ours.OWN_SECRETS)
