"""Which servers somebody may operate, as the room of servers says: jobs lie on a floor below it.

A job's rights follow from the servers that it touches (`jobs.rights`), not from who asked for it.
"""

from collections.abc import Callable
from typing import Any

Operated = Callable[[Any], Any]
_says: list[Operated] = []


def guard(operated: Operated) -> None:
    """Register `operated(user)`: the primary keys of the servers that this user may see and operate, as a query."""
    _says[:] = [operated]


def operated_by(user: Any) -> Any:
    """The primary keys of the servers that this user may operate; none while no room has said so."""
    return _says[0](user) if _says else []
