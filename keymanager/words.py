"""What a change of keys means for servers, said to the person who made it."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import User
from servers.models import Server
from servers.models.server import ServerQuerySet

MOST_NAMED = 3
MOST_READ = 200  # servers that a program reads


def concerned(names: Iterable[str], user: User) -> str:
    """How many servers a change of these keymanager names concerns, and which, as a sentence; for before it, too."""
    servers = Server.objects.filter(keymanager_name__in=set(names))
    count = servers.count()
    return f"{_concerned(servers, count, user)} {_do_not_fetch(not_fetching(servers), count)}".strip()


def concerned_json(servers: ServerQuerySet, visible: ServerQuerySet) -> dict[str, Any]:
    """The same for a program: how many servers, how many of them fetch nothing, the names that the reader may see."""
    return {
        "concerned": servers.count(),
        "not_fetching": not_fetching(servers),
        "servers": [server.name for server in visible[:MOST_READ]],
    }


def not_fetching(servers: ServerQuerySet) -> int:
    """How many of them hear of no change."""
    return servers.filter(fetch_token=None).count()


def _concerned(servers: ServerQuerySet, count: int, user: User) -> str:
    if not count:
        return _("No server is concerned.")
    named = servers.visible_to(user).order_by("name").values_list("name", flat=True)[: MOST_NAMED + 1]
    words = ngettext("%d server is concerned", "%d servers are concerned", count) % count
    if len(named) == count <= MOST_NAMED:
        words += f" ({', '.join(named)})"
    return f"{words}."


def after_change(sentence: str, names: Iterable[str], user: User) -> str:
    """The sentence about a change, which servers it concerns, and what happens next."""
    servers = Server.objects.filter(keymanager_name__in=set(names))
    count = servers.count()
    said = f"{sentence} {_concerned(servers, count, user)}"
    return f"{said} {_next(not_fetching(servers), count)}" if count else said


def _next(number: int, count: int) -> str:
    if number == count:
        return _do_not_fetch(number, count)
    then = (
        _("They fetch now, at the latest within the hour.")
        if settings.KEYS_PUSH
        else _("They fetch within the hour.")
    )
    return f"{then} {_do_not_fetch(number, count)}".strip()


def _do_not_fetch(number: int, count: int) -> str:
    """That so many of so many servers hear of no change; nothing where all do."""
    if not number:
        return ""
    if number == count:
        return ngettext("It does not fetch from here.", "They do not fetch from here.", count)
    return ngettext("%d does not fetch from here.", "%d do not fetch from here.", number) % number


def stays(number: int, count: int) -> str:
    """Where keys that are deleted stay, as so many of so many servers do not fetch; empty where all do."""
    if not number:
        return ""
    if number == count:
        return ngettext(
            "It does not fetch from here: keys that it holds stay there, and let people in.",
            "They do not fetch from here: keys that they hold stay there, and let people in.",
            count,
        )
    words = ngettext(
        "%d of them does not fetch from here: keys that it holds stay there, and let people in.",
        "%d of them do not fetch from here: keys that they hold stay there, and let people in.",
        number,
    )
    return words % number
