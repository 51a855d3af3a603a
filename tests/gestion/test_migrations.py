"""What the migrations make is what the models say: all other tests run on tables made from the models at once."""

import re
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.databases import FromModels, empty_database

pytestmark = pytest.mark.services

# Django's own, which the panel never reads: how wide its ids are depends on which of the two ways makes it.
NOT_OURS = "auth_group_permissions.id"
_POSTGRES = """
SELECT table_name || '.' || column_name || ': ' || data_type || ' ' || coalesce(character_maximum_length::text, '')
       || ' ' || is_nullable || ' ' || coalesce(column_default, '') || ' ' || is_identity
       || ' ' || coalesce(collation_name, '')
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT conrelid::regclass || ': ' || pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT tablename || ': ' || regexp_replace(indexdef, 'INDEX \\S+ ON', 'INDEX ON') FROM pg_indexes
 WHERE schemaname = 'public'
"""


def on_postgres() -> list[str]:
    """Every column, constraint and index, without the names that only PostgreSQL cares for."""
    with connection.cursor() as cursor:
        cursor.execute(_POSTGRES)
        return sorted(row[0] for row in cursor.fetchall())


def on_sqlite() -> list[str]:
    """Every column, constraint and index, in whatever order a table has them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        found = [(table, line) for table, sql in cursor.fetchall() for line in clauses(sql)]
    return sorted(f"{table}: {line}" for table, line in found)


def clauses(sql: str) -> list[str]:
    """The parts between the outer brackets of CREATE TABLE; any other statement whole."""
    if not sql.startswith("CREATE TABLE"):
        return [sql]
    parts, depth = [""], 0
    for piece in re.findall(r"'(?:[^']|'')*'|.", sql[sql.index("(") + 1 : sql.rindex(")")], re.DOTALL):
        depth += {"(": 1, ")": -1}.get(piece, 0)  # none in a text, which is a piece by itself
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [re.sub(r"\s+", " ", part).strip() for part in parts]


def schema() -> list[str]:
    """What the connected database holds, but for what Django keeps of migrations themselves."""
    found = on_sqlite() if connection.vendor == "sqlite" else on_postgres()
    return [line for line in found if "django_migrations" not in line and not line.startswith(NOT_OURS)]


def made(tmp_path: Any, settings: Any, modules: Any) -> list[str]:
    """The schema of a new database."""
    settings.MIGRATION_MODULES = modules
    with empty_database(tmp_path):
        call_command("migrate", run_syncdb=True, verbosity=0)
        return schema()


def test_migrations_from_nothing_make_what_the_models_say(tmp_path, settings, django_db_blocker):
    with django_db_blocker.unblock():
        by_migrations = made(tmp_path, settings, {})
        from_models = made(tmp_path, settings, FromModels())
    assert len(from_models) > 300
    assert set(by_migrations) ^ set(from_models) == set()
    assert by_migrations == from_models


def test_a_table_is_taken_apart_at_its_outer_commas():
    sql = 'CREATE TABLE "a" ("b" integer NOT NULL,  "c" decimal(3, 1), CHECK ("b" IN (1, 2)))'
    assert clauses(sql) == ['"b" integer NOT NULL', '"c" decimal(3, 1)', 'CHECK ("b" IN (1, 2))']
