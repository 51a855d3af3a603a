"""A restore brings an older panel's rows up to date, refuses a newer one's, and leaves what is there if it fails."""

import json
from pathlib import Path

import pytest

from tests.databases import give
from tests.gestion.test_panel_backup import SECRETS, Data, databases

__all__ = ["databases"]  # a fixture
pytestmark = pytest.mark.services

OLD = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from accounts.models import User
User.objects.create_superuser("ada", "correct horse battery", email="ada@example.org")
call_command("migrate", "githooks", "zero", verbosity=0)
call_command("migrate", "notifications", "zero", verbosity=0)
call_command("backup_panel", "{file}")
"""
# Rows of a version that is not there yet, in a backup whose list says nothing of it.
NEWER = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from accounts.models import User
User.objects.create_superuser("eve", "correct horse battery", email="eve@example.org")
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
MigrationRecorder(connection).record_applied("jobs", "9999_from_the_future")
real = MigrationRecorder.applied_migrations
MigrationRecorder.applied_migrations = lambda self: {{
    key: value for key, value in real(self).items() if key[1] != "9999_from_the_future"
}}
call_command("backup_panel", "{file}")
"""
# Rows that this version's migrations cannot be applied to: a table is in the way.
BROKEN = OLD.replace(
    'call_command("backup_panel"',
    "from django.db import connection\n"
    'connection.cursor().execute("CREATE TABLE githooks_repository (odd integer)")\n'
    'call_command("backup_panel"',
)
LOOK = """
import json
from accounts.models import User
from django.core.management import call_command
from githooks.models import Repository
from notifications.models import *
call_command("migrate", "--check", verbosity=0)
print(json.dumps([list(User.objects.values_list("username", flat=True)), Repository.objects.count()]))
"""
THERE = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
from accounts.models import User
User.objects.create_superuser("mel", "correct horse battery", email="mel@example.org")
"""
# Power is lost while a restore is at work.
CUT_OFF = """
import os
from pathlib import Path
from gestion.panel_backup import archive, replacing
with archive.opened(Path("{file}")) as found, replacing.replaced(found.database):
    os._exit(9)
"""


@pytest.fixture
def panels(databases, tmp_path, ready_database) -> tuple[Data, Data]:
    old, fresh = (Data(tmp_path / name, **databases[name]) for name in ("old", "fresh"))
    for panel in (old, fresh):
        give(ready_database, panel.folder)
    return old, fresh


def restore(panel: Data, file: Path, *options: str, good: bool = True) -> str:
    """The command; on PostgreSQL the backup's secrets go where the panel finds them, as install.sh sees to."""
    if "DATABASE_URL" not in panel.env:
        return panel.manage("restore_panel", str(file), *options, good=good)
    secrets = file.with_name("secrets")
    words = panel.manage("restore_panel", str(file), *options, "--secrets-to", str(secrets), good=good)
    if good:
        panel.env |= dict(line.split("=", 1) for line in secrets.read_text().splitlines())
    return words


def seen(panel: Data) -> list[object]:
    found: list[object] = json.loads(panel.do(LOOK).splitlines()[-1])
    return found


def test_an_older_panels_rows_are_brought_up_to_date_also_after_a_restore_that_was_cut_off(panels, tmp_path):
    old, fresh = panels
    file = tmp_path / "old.tar"
    old.do(OLD.format(file=file))
    fresh.do(THERE)
    assert "can be restored" in fresh.manage("restore_panel", "--check", str(file))
    fresh.manage("shell", "--no-imports", "-c", CUT_OFF.format(file=file), good=False)
    restore(fresh, file, "--replace")
    assert seen(fresh) == [["ada"], 0]


def test_a_newer_panels_rows_are_refused_and_what_is_there_stays(panels, tmp_path):
    newer, fresh = panels
    file = tmp_path / "newer.tar"
    newer.do(NEWER.format(file=file))
    fresh.do(THERE)
    assert "of a newer panel" in restore(fresh, file, "--replace", good=False)
    assert seen(fresh) == [["mel"], 0]


def test_one_that_fails_in_its_middle_leaves_what_was_there(panels, tmp_path):
    old, fresh = panels
    file = tmp_path / "broken.tar"
    old.do(BROKEN.format(file=file))
    fresh.do(THERE)
    before = {
        name: (fresh.folder / name.lower()).read_text()
        for name in SECRETS
        if (fresh.folder / name.lower()).exists()
    }
    words = restore(fresh, file, "--replace", good=False)
    assert "What was there is there again" in words
    assert seen(fresh) == [["mel"], 0]
    assert {name: (fresh.folder / name.lower()).read_text() for name in before} == before
    assert not list(fresh.folder.glob("*.before-restore"))
    assert not (tmp_path / "secrets").exists()
