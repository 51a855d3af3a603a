"""Notes every statement that changes the database, on whatever connection and thread, also one that is taken back.

Django sends every statement through its cursor wrapper, raw SQL too, so it is listened to there.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.db.backends.utils import CursorWrapper

# Rows that looking at a page, or being refused, may write.
NOT_OURS = (
    "sessions.Session",
    "accounts.Session",
    "axes.AccessAttempt",
    "axes.AccessLog",
    "axes.AccessFailureLog",
)
_READS = re.compile(
    r"\s*(SELECT|SAVEPOINT|RELEASE|ROLLBACK|BEGIN|COMMIT|PRAGMA|SHOW|SET|EXPLAIN)\b", re.IGNORECASE
)
_TABLE = re.compile(
    r'\s*(?:INSERT\s+(?:OR\s+\w+\s+)?INTO|REPLACE\s+INTO|UPDATE|DELETE\s+FROM)\s+"?(\w+)', re.IGNORECASE
)
_lock = threading.Lock()


def changes(sql: str) -> bool:
    """Whether this statement may change a table that is ours; what is not known to read counts as a change."""
    several = ";" in sql.rstrip("; \n")
    if _READS.match(sql) and not several:
        return False
    table = _TABLE.match(sql)
    return several or not (table and table[1] in _ignored())


def _ignored() -> set[str]:
    return {apps.get_model(label)._meta.db_table for label in NOT_OURS}


@contextmanager
def watched() -> Iterator[list[str]]:
    """The statements that changed something within the block, as they come."""
    noted: list[str] = []
    cursor: Any = CursorWrapper
    execute, execute_many = cursor._execute, cursor._executemany

    def note(sql: Any) -> None:
        if changes(str(sql)):
            with _lock:
                noted.append(str(sql))

    def listen(self: CursorWrapper, sql: Any, *rest: Any) -> Any:
        note(sql)
        return execute(self, sql, *rest)

    def listen_many(self: CursorWrapper, sql: Any, *rest: Any) -> Any:
        note(sql)
        return execute_many(self, sql, *rest)

    cursor._execute, cursor._executemany = listen, listen_many
    try:
        yield noted
    finally:
        cursor._execute, cursor._executemany = execute, execute_many
