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
    return f"{_concerned(servers, count, user)} {_not_fetching(servers, count)}".strip()


def concerned_json(servers: ServerQuerySet, visible: ServerQuerySet) -> dict[str, Any]:
    """The same for a program: how many servers, how many of them fetch nothing, the names that the reader may see."""
    return {
        "concerned": servers.count(),
        "not_fetching": servers.filter(fetch_token=None).count(),
        "servers": [server.name for server in visible[:MOST_READ]],
    }


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
    return f"{said} {_next(servers, count)}" if count else said


def _next(servers: ServerQuerySet, count: int) -> str:
    if not servers.exclude(fetch_token=None).exists():
        return _not_fetching(servers, count)
    then = (
        _("They fetch now, at the latest within the hour.")
        if settings.KEYS_PUSH
        else _("They fetch within the hour.")
    )
    return f"{then} {_not_fetching(servers, count)}".strip()


def _not_fetching(servers: ServerQuerySet, count: int) -> str:
    """How many of these servers, of which there are so many, hear of no change; nothing where all do."""
    number = servers.filter(fetch_token=None).count()
    if not number:
        return ""
    if number == count:
        return ngettext("It does not fetch from here.", "They do not fetch from here.", count)
    return ngettext("%d does not fetch from here.", "%d do not fetch from here.", number) % number


def stays(servers: ServerQuerySet, count: int) -> str:
    """Where keys that are deleted stay on these servers, of which there are so many; empty where all fetch."""
    number = servers.filter(fetch_token=None).count()
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
