"""Shares that were made under the rules before these: what the new ones refuse does not hold up the migration."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.databases import empty_database

BEFORE = [("samba", "0001_initial")]
AFTER = [("samba", "0002_names_of_offices")]

pytestmark = pytest.mark.services


@pytest.fixture
def migrations(settings, tmp_path, django_db_blocker):
    """A database of its own, in which migrations are applied: the tests' usual one is made without."""
    settings.MIGRATION_MODULES = {}
    with django_db_blocker.unblock(), empty_database(tmp_path):
        yield


def test_old_comments_are_as_samba_showed_them_and_a_share_that_was_none_gets_a_name(migrations):
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    old = executor.loader.project_state(BEFORE).apps
    server = old.get_model("servers", "Server").objects.create(name="files1", keymanager_name="files1")
    comments = {"globals": "two  spaces   here", "globals-1": 'a "b" c', "photos": ""}
    for name, comment in comments.items():
        old.get_model("samba", "Share").objects.create(
            server=server, name=name, user=f"smb-{name}", folder=name, comment=comment, secret_mark="x"
        )
    executor = MigrationExecutor(connection)
    executor.migrate(AFTER)
    shares = executor.loader.project_state(AFTER).apps.get_model("samba", "Share").objects
    assert set(shares.values_list("name", "folder", "comment")) == {
        ("globals-2", "globals", "two spaces here"),
        ("globals-1", "globals-1", 'a "b" c'),
        ("photos", "photos", ""),
    }
