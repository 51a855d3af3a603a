"""Databases for tests: pytest-django's has tables made from the models; tests of migrations have empty ones."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection, connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models.signals import post_migrate


class FromModels:
    """For MIGRATION_MODULES: no app has migrations, so that Django makes its tables from the models."""

    def __contains__(self, app: str) -> bool:
        return True

    def __getitem__(self, app: str) -> None:
        return None


@contextmanager
def empty_database(folder: Path) -> Iterator[None]:
    """A new database without tables stands in for the default one: a file in `folder`, or beside it on PostgreSQL."""
    usual = connections["default"]
    name = f"empty_{secrets.token_hex(4)}"
    on_postgres = usual.vendor == "postgresql"
    if on_postgres:
        with usual._nodb_cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
    place = name if on_postgres else str(folder / name)
    connections["default"] = type(usual)({**usual.settings_dict, "NAME": place}, "default")
    try:
        yield
    finally:
        connections["default"].close()
        connections["default"] = usual
        if on_postgres:
            with usual._nodb_cursor() as cursor:
                cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def taken_back(django_db_blocker: Any) -> Iterator[None]:
    """What the block does to the database is taken back at its end: for a world that a file shares, and for each test.

    `django_db_blocker` is pytest-django's fixture.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


def without_permissions() -> None:
    """Have Django write no list of its own permissions and content types, which the panel never reads.

    It would do so again after each test that commits: forty times as long as emptying all tables takes.
    """
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)


def empty_only_what_was_written() -> None:
    """Have PostgreSQL delete the rows that are there: TRUNCATE makes new files for all tables and indexes."""
    operations = connection.ops
    if connection.vendor != "postgresql":
        return

    def sql_flush(_style: Any, tables: list[str], **_usual: Any) -> list[str]:
        names = [operations.quote_name(table) for table in tables]
        with connection.cursor() as cursor:
            cursor.execute(" UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in names))  # noqa: S608
            return [f"DELETE FROM {name};" for (name,) in cursor.fetchall()]  # noqa: S608 - names of our models

    operations.sql_flush = sql_flush  # type: ignore[method-assign, assignment]


def note_as_migrated() -> None:
    """Have all as after migrating: the database says that every migration is applied, and the panel knows them."""
    settings.MIGRATION_MODULES = {}  # pytest-django said that there are none, so as to make the tables at once
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    for app, name in sorted(MigrationLoader(None).disk_migrations):
        recorder.record_applied(app, name)


def copy_to(file: Path) -> None:
    """Write the tests' SQLite database, as it is now, to a file."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(file)])


def give(ready: Path | None, folder: Path) -> None:
    """Put a migrated, empty database where a panel on this folder looks; on PostgreSQL there is none to put."""
    if ready:
        shutil.copy(ready, folder / "gestion.sqlite3")
        (folder / "gestion.sqlite3").chmod(0o600)
