"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client

from accounts.models import User
from tests.databases import copy_to, empty_only_what_was_written, give, note_as_migrated, without_permissions

pytest_plugins = ["tests.lab_fixtures"]


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings) -> None:
    """pytest-django asks for it before it makes the database."""
    without_permissions()


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> Path | None:
    """pytest-django's, and a copy of it for panels that tests start; None on PostgreSQL."""
    with django_db_blocker.unblock():
        note_as_migrated()
        empty_only_what_was_written()
        if connection.vendor != "sqlite":
            return None
        ready = Path(os.environ["DATA_DIR"]) / "ready.sqlite3"
        copy_to(ready)
        connection.close()
        return ready


@pytest.fixture
def ready_database(db, django_db_setup) -> Path | None:
    """A migrated, empty database for a panel of a test's own, see `tests.databases.give`: migrating takes seconds.

    `db`, because pytest-django makes no tables in a run in which no test asks for a database.
    """
    return django_db_setup


@pytest.fixture
def data_folder(tmp_path: Path, ready_database: Path | None) -> Path:
    """A folder for a panel of the test's own, with a migrated, empty database in it."""
    give(ready_database, tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def quick_start(settings):
    """Hash passwords quickly, and do not look for a thousand static files with each client."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_USE_FINDERS = False


@pytest.fixture
def admin(db) -> User:
    """An admin of the panel."""
    return User.objects.create_superuser("ada", "correct horse battery", email="ada@example.org")


@pytest.fixture
def member(db) -> User:
    """A person who is no admin and owns nothing."""
    return User.objects.create_user("mel", "correct horse battery", email="mel@example.org")


@pytest.fixture
def admin_client(admin) -> Client:
    """A browser in which the admin is signed in."""
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def member_client(member) -> Client:
    """A browser in which the member is signed in."""
    client = Client()
    client.force_login(member)
    return client
