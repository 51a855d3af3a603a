"""A copy in the place of the whole database, so that what was there can come back.

PostgreSQL: what was there waits in a schema of another name; SQLite: in a file of another name. Both are there only
while a restore is at work, or after one that was cut off: then the next one begins by putting it back.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from django.db import DatabaseError, connection, transaction

from gestion.panel_backup import database
from gestion.panel_backup.database import ASIDE, DatabaseCopyError

SUFFIX = ".before-restore"


class _Way(Protocol):
    def set_aside(self) -> None: ...
    def fill(self, source: Path) -> None: ...
    def put_back(self) -> None: ...
    def forget(self) -> None: ...


@contextmanager
def replaced(source: Path) -> Iterator[None]:
    """The copy in the place of all that is there: for good if the block ends well, else what was there is back.

    Raises DatabaseCopyError, nothing changed.
    """
    way: _Way = PostgreSQL() if connection.vendor == "postgresql" else SQLite()
    try:
        way.set_aside()
    except (DatabaseError, OSError) as error:
        raise DatabaseCopyError(f"What is there cannot be set aside: {error}") from error
    try:
        way.fill(source)
        yield
    except BaseException:
        way.put_back()
        raise
    way.forget()


class PostgreSQL:
    """By schemas: `public` is renamed, and pg_restore fills a new one, as the panel's own role."""

    def set_aside(self) -> None:
        """Leave an empty schema `public`. Raises DatabaseError: only who owns the database may."""
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [ASIDE])
            if cursor.fetchone():
                self._back(cursor.execute)
            cursor.execute(f"ALTER SCHEMA public RENAME TO {ASIDE}")
            cursor.execute("CREATE SCHEMA public")
        connection.close()

    def fill(self, source: Path) -> None:
        """Not by way of psql, which would take a line of a hostile dump for a command of its own."""
        name = str(connection.settings_dict["NAME"])
        database.run("pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction",
                     f"--dbname={name}", str(source))  # fmt: skip

    def put_back(self) -> None:
        """What was there is there again."""
        connection.close()
        with transaction.atomic(), connection.cursor() as cursor:
            self._back(cursor.execute)

    def forget(self) -> None:
        """The restored one stays."""
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {ASIDE} CASCADE")

    def _back(self, execute: Callable[[str], Any]) -> None:
        execute("DROP SCHEMA IF EXISTS public CASCADE")
        execute(f"ALTER SCHEMA {ASIDE} RENAME TO public")


class SQLite:
    """By files: the database is renamed, and the copy gets its name."""

    def __init__(self) -> None:
        self.path = database.sqlite_path()
        self.aside = self.path.with_name(self.path.name + SUFFIX)

    def set_aside(self) -> None:
        """Leave no database. One that is too damaged to be read can be replaced, too."""
        connection.close()
        if self.aside.exists():
            self.put_back()
        if not self.path.exists():
            return
        with suppress(sqlite3.DatabaseError), database.sqlite(self.path) as there:
            there.execute("PRAGMA journal_mode=DELETE")  # all that belongs to it is in one file now
        self.path.replace(self.aside)

    def fill(self, source: Path) -> None:
        """Write the copy. Raises DatabaseCopyError where it is damaged, or written to by others."""
        self._clear()
        try:
            with database.sqlite(source) as copy:
                database.check_whole(copy)
                self.path.touch(mode=0o600)
                with closing(sqlite3.connect(self.path)) as target:
                    copy.backup(target)
        except sqlite3.Error as error:
            raise DatabaseCopyError(f"SQLite says: {error}") from error

    def put_back(self) -> None:
        """What was there, which may be nothing, is there again."""
        connection.close()
        self._clear()
        if self.aside.exists():
            self.aside.replace(self.path)

    def forget(self) -> None:
        """The restored one stays."""
        self.aside.unlink(missing_ok=True)

    def _clear(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
