"""Revisions: when the answer for a keymanager name last changed, for everyone who keeps answers.

A revision is max(the old one + 1, now in milliseconds): it grows with every change, also after a name was
deleted and made again, and after a restore of an older database.
"""

import json
import time
from collections.abc import Iterable

from django.db import connection

from keymanager.models import KeySetRevision
from keymanager.pushing import fetch_soon

_TAKE_THE_LATER = {"sqlite": "MAX", "postgresql": "GREATEST"}
_ROWS = {
    "sqlite": "SELECT value, %s FROM json_each(%s) WHERE true ORDER BY value",
    "postgresql": "SELECT value, %s FROM json_array_elements_text(%s::json) AS t(value) ORDER BY value",
}


def touch(names: Iterable[str]) -> None:
    """Say that the answers for these keymanager names may have changed, in the caller's transaction.

    One statement, however many names; sorted, so that two at once wait for each other and never deadlock. The
    row CLOCK changes with every call, so that whoever keeps answers can ask one row whether anything changed.
    The servers concerned are told to fetch when the transaction is committed.
    """
    wanted = sorted(set(names))
    if not wanted:
        return
    wanted.insert(0, KeySetRevision.CLOCK)
    vendor = connection.vendor
    later = _TAKE_THE_LATER[vendor]
    statement = (
        f"INSERT INTO keymanager_keysetrevision (name, revision) {_ROWS[vendor]} "  # no data in it
        f"ON CONFLICT (name) DO UPDATE SET revision = "
        f"{later}(keymanager_keysetrevision.revision + 1, excluded.revision)"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [time.time_ns() // 1_000_000, json.dumps(wanted)])
    fetch_soon(wanted)
