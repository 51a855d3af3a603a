"""The panel's database as one file, and back: SQLite by its backup API, PostgreSQL by pg_dump."""

import os
import re
import shutil
import sqlite3
import subprocess
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
ASIDE = "gestion_before_restore"  # the schema in which a restore keeps what was there; see replacing.py
SSL_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")  # as in "pg_dump (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)"


class DatabaseCopyError(Exception):
    """It did not work; the text says why."""


def file_name() -> str:
    """What the copy is called in an archive: also which kind of database made it."""
    return "database.pgdump" if connection.vendor == "postgresql" else "database.sqlite3"


def dump(target: Path) -> None:
    """Write a consistent copy while the panel works, and prove that it can be read. Raises DatabaseCopyError."""
    if connection.vendor == "postgresql":
        if words := why_no_pg_dump():
            raise DatabaseCopyError(words)
        run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--exclude-schema={ASIDE}",
            f"--file={target}")  # fmt: skip
        run("pg_restore", "--file=/dev/null", str(target))  # reads and unpacks every row
        return
    with sqlite(sqlite_path()) as source, sqlite(target) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")  # one file, not three
        check_whole(copy)


def check_whole(copy: sqlite3.Connection) -> None:
    """Raises DatabaseCopyError where SQLite finds the database damaged."""
    found = [row[0] for row in copy.execute("PRAGMA integrity_check")]
    if found != ["ok"]:
        raise DatabaseCopyError(f"The database is damaged: {found[0]}")


def why_no_pg_dump(*, ask_server: bool = True) -> str:
    """Why pg_dump cannot copy the panel's database, and what to do; empty if it can. Raises DatabaseError.

    It refuses a server of a newer major version than its own (pg_dump(1), NOTES). `ask_server`: False to look only
    whether it is there.
    """
    if not shutil.which("pg_dump"):
        return f"pg_dump is missing: {_client()}."
    if not ask_server:
        return ""
    done = subprocess.run(
        ["pg_dump", "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        check=False,
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        server = int(cursor.fetchone()[0]) // 10000
    found = _VERSION.search(done.stdout)
    if found is None:
        return f"pg_dump does not work: {(done.stderr or done.stdout).strip()[-300:]}"
    if int(found[1]) < server:
        return (
            f"pg_dump is of PostgreSQL {found[1]} and cannot read this server, which is of {server}: "
            f"{_client(str(server))}."
        )
    return ""


def _client(version: str = "") -> str:
    return (
        f"install Debian's postgresql-client{version and '-'}{version}; in Docker, build the image with a "
        "PYTHON_IMAGE of the Debian release that POSTGRES_IMAGE has"
    )


def run(program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the panel's database, as its role. Raises DatabaseCopyError."""
    if not shutil.which(program):
        raise DatabaseCopyError(f"{program} is missing: {_client()}.")
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


def sqlite_path() -> Path:
    """The file of the database."""
    return Path(connection.settings_dict["NAME"])


def sqlite(path: Path) -> "closing[sqlite3.Connection]":
    """A connection of its own to a file, closed at the end of a `with`."""
    # Django's own connection: constraints use functions that it adds to SQLite, such as REGEXP.
    return closing(connection.get_new_connection({**connection.get_connection_params(), "database": path}))
