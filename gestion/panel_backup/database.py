"""The panel's database as one file, and back: SQLite by its backup API, PostgreSQL by pg_dump."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from django.db import connection

PG_ENVIRONMENT = {
    "HOST": "PGHOST",
    "PORT": "PGPORT",
    "USER": "PGUSER",
    "PASSWORD": "PGPASSWORD",
    "NAME": "PGDATABASE",
}
SSL_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey")


class DatabaseCopyError(Exception):
    """It did not work; the text says why."""


def file_name() -> str:
    """What the copy is called in an archive: also which kind of database made it."""
    return "database.pgdump" if connection.vendor == "postgresql" else "database.sqlite3"


def dump(target: Path) -> None:
    """Write a consistent copy while the panel works, and prove that it can be read. Raises DatabaseCopyError."""
    if connection.vendor == "postgresql":
        _run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={target}")
        _run("pg_restore", "--file=/dev/null", str(target))  # reads and unpacks every row
        return
    with _sqlite(_sqlite_path()) as source, _sqlite(target) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, not three
        found = [row[0] for row in copy.execute("PRAGMA integrity_check")]
        if found != ["ok"]:
            raise DatabaseCopyError(f"The copy is damaged, and so is the database: {found[0]}")


def load(source: Path) -> None:
    """Put the copy in the place of all that is there, in one step. Raises DatabaseCopyError, nothing changed."""
    if connection.vendor == "postgresql":
        _load_postgresql(source)
    else:
        connection.close()
        with _sqlite(source) as copy, _sqlite(_sqlite_path()) as target:
            try:
                copy.backup(target)
            except sqlite3.Error as error:
                raise DatabaseCopyError(f"SQLite says: {error}") from error


def _load_postgresql(source: Path) -> None:
    with connection.cursor() as cursor:
        tables = [connection.ops.quote_name(name) for name in connection.introspection.table_names(cursor)]
    connection.close()
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        clear, fill = Path(folder) / "clear.sql", Path(folder) / "fill.sql"
        clear.write_text(f"DROP TABLE {', '.join(tables)} CASCADE;\n" if tables else "")
        _run("pg_restore", "--no-owner", "--no-privileges", f"--file={fill}", str(source))
        _run("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction",
             "--output=/dev/null", f"--file={clear}", f"--file={fill}")  # fmt: skip


def _run(program: str, *arguments: str) -> None:
    if not shutil.which(program):
        raise DatabaseCopyError(f"{program} is missing: install Debian's postgresql-client.")
    done = subprocess.run(
        [program, *arguments], env=_pg_environment(), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        raise DatabaseCopyError(f"{program} says: {done.stderr.strip()[-1000:]}")


def _pg_environment() -> dict[str, str]:
    """How libpq reaches the database: not by arguments, which everybody on the machine can read."""
    parts = connection.settings_dict
    reach = {name: str(parts[key]) for key, name in PG_ENVIRONMENT.items() if parts.get(key)}
    reach |= {
        f"PG{name.upper()}": str(parts["OPTIONS"][name]) for name in SSL_OPTIONS if name in parts["OPTIONS"]
    }
    return {**os.environ, **reach}


def _sqlite_path() -> Path:
    return Path(connection.settings_dict["NAME"])


def _sqlite(path: Path) -> "closing[sqlite3.Connection]":
    # Django's own connection: constraints use functions that it adds to SQLite, such as REGEXP.
    return closing(connection.get_new_connection({**connection.get_connection_params(), "database": path}))
