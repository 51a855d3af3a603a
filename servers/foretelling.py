"""What saving something would change on which servers, said before it is saved.

The change is really made, in a transaction that is undone: so what is said comes from the same rows, rules and kinds
as what would be rolled out. Nothing is asked of any host.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from hosts.changes import difference_of
from hosts.state import Absent, Item, State
from pages.second_word import second_word
from servers import registry
from servers.configs import NotWritable
from servers.models import Rollout, Server
from servers.rolling import desired
from servers.rollouts import Asked, noted

log = logging.getLogger(__name__)

MOST_SHOWN = 12  # lines of one kind on one server; a new interface may end and begin hundreds


@dataclass(frozen=True)
class Effect:
    """What would change of one kind on one server; `files` are (path, "new", "changed" or "gone")."""

    server: str
    kind: str
    url: str  # of its rollout, where there is one
    begins: tuple[str, ...]
    ends: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    difference: str

    @property
    def title(self) -> str:
        """As "Forwarded ports of pve1"."""
        return _("%(kind)s of %(server)s") % {
            "kind": registry.kind_title(self.kind),
            "server": self.server,
        }

    @property
    def sentence(self) -> str:
        """All of it in one line of text."""
        return f"{self.title}: {registry.some(self.lines)}."

    @property
    def lines(self) -> list[str]:
        """What ends and begins, or else the files: each in words."""
        words = [_("%s ends") % text for text in self.ends] + [_("%s begins") % text for text in self.begins]
        return words or [f"{path} {_file_words()[how]}" for path, how in self.files]

    @property
    def shown(self) -> list[str]:
        """As many of the lines as a person reads."""
        return self.lines[:MOST_SHOWN]

    @property
    def more(self) -> int:
        """How many lines are not shown."""
        return max(0, len(self.lines) - MOST_SHOWN)

    def as_json(self) -> dict[str, Any]:
        """It for programs."""
        return {
            "server": self.server,
            "kind": self.kind,
            "title": self.title,
            "begins": list(self.begins),
            "ends": list(self.ends),
            "files": dict(self.files),
            "difference": self.difference,
        }


@dataclass(frozen=True)
class _Now:
    """One kind on one server, as the rows are at one moment."""

    server: str
    url: str
    state: State
    does: tuple[str, ...]


def foretell(change: Callable[[], object]) -> list[Effect]:
    """What `change` would roll out. It is called with the second word in a transaction that is undone.

    What it raises is raised.
    """
    with transaction.atomic(), second_word(), noted() as asked:
        change()
        after = look(asked)
        transaction.set_rollback(True)
    return effects(look(asked), after)


def look(asked: Asked) -> dict[tuple[int, str], _Now]:
    """What each of these servers should hold and do of each of these kinds now.

    Nothing of a kind that was never asked for on it: its first rollout begins all that the kind does.
    """
    servers = Server.objects.in_bulk({pk for pk, _kind in asked})
    rows = Rollout.objects.filter(server__in=servers).select_related("server")
    urls = {(row.server_id, row.kind): row.get_absolute_url() for row in rows}
    return {
        (pk, kind): _look(servers[pk], kind, urls[pk, kind])
        for pk, kind in asked
        if pk in servers and (pk, kind) in urls
    }


def _look(server: Server, kind: str, url: str) -> _Now:
    found = registry.kinds().get(kind)
    does: tuple[str, ...] = ()
    state = State(kind=kind, items=())
    try:
        state = desired(server, kind)
        does = tuple(found.does(server)) if found and found.does else ()
        does += tuple(text.rstrip(".") for text in state.left_out)
    except NotWritable as error:  # nothing of it would be touched, and the rollout says so
        does = (str(error).rstrip("."),)
    except Exception as error:  # a fault of one kind's own code must keep nobody from saving
        log.exception("Telling what %s of %s would be failed", kind, server)
        does = (_("It cannot be told: a fault in Gestion (%s)") % type(error).__name__,)
    return _Now(server.name, url, state, does)


def effects(before: dict[tuple[int, str], _Now], after: dict[tuple[int, str], _Now]) -> list[Effect]:
    """What differs, by server and in the order of rolling out."""
    order = list(registry.kinds())
    found = []
    for key in dict.fromkeys((*after, *before)):
        then, now = before.get(key), after.get(key)
        effect = _effect(key[1], (now or before[key]).server, then, now)
        if effect.begins or effect.ends or effect.files:
            found.append(effect)
    return sorted(found, key=lambda one: (one.server, order.index(one.kind) if one.kind in order else 0))


def _effect(kind: str, server: str, then: _Now | None, now: _Now | None) -> Effect:
    old, new = (then.does if then else ()), (now.does if now else ())
    before, after = (then.state if then else None), (now.state if now else None)
    return Effect(
        server=server,
        kind=kind,
        url=then.url if then else "",
        begins=tuple(text for text in new if text not in old),
        ends=tuple(text for text in old if text not in new),
        files=tuple(_files(before, after)),
        difference=difference_of(before, after),
    )


def _files(before: State | None, after: State | None) -> list[tuple[str, str]]:
    old, new = _there(before), _there(after)
    found = []
    for path in sorted(old.keys() | new.keys()):
        if path not in old:
            found.append((path, "new"))
        elif path not in new:
            found.append((path, "gone"))
        elif old[path] != new[path]:
            found.append((path, "changed"))
    return found


def _there(state: State | None) -> dict[str, Item]:
    return {item.path: item for item in (state.items if state else ()) if not isinstance(item, Absent)}


def _file_words() -> dict[str, str]:
    return {"new": _("is made"), "changed": _("changes"), "gone": _("goes away")}
