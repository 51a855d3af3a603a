"""What an API token may do.

Every URL belongs to a room by its namespace, and the room's name is a scope: with it a token does what its user
may do there. The scope `read` reads everywhere, and changes nothing. A new room is a scope of its own by itself,
which no token has yet; the URLs of this room (`accounts`) and those of none are closed until they are marked.

No scope lets a token become the account: whatever signs somebody in, or outlives the token as a way in, is marked
with `never_by_token` or `only_read_by_token`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.urls import URLResolver, get_resolver
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

View = Callable[..., Any]
READ = "read"
EVERYTHING = "everything"  # what tokens have that were made before there were scopes; nobody can choose it
READING = frozenset({"GET", "HEAD"})
OURS = "accounts"
CHANGES, READS, NEVER = "changes", "reads", "never"
_MARK = "by_token"


@dataclass(frozen=True)
class Scope:
    """One thing that a token may be given."""

    name: str
    label: Any


def never_by_token(view: View) -> View:
    """For what a token never does, whatever its scopes: neither reading nor changing."""
    return _marked(view, NEVER)


def only_read_by_token(view: View) -> View:
    """For a page that a token reads, and through which it changes nothing."""
    return _marked(view, READS)


def changes_by_token(view: View) -> View:
    """Opens a view of this room, which are closed otherwise, to tokens with the room's scope."""
    return _marked(view, CHANGES)


def _marked(view: View, mark: str) -> View:
    setattr(view, _MARK, mark)
    return view


def rooms() -> list[str]:
    """The namespaces of the panel's URLs, in their order."""
    found = (item.namespace for item in get_resolver().url_patterns if isinstance(item, URLResolver))
    return [name for name in dict.fromkeys(found) if name]


def all_scopes() -> list[Scope]:
    """Everything that a new token may be given: reading, then each room by its name, this one last."""
    labels = {config.name: config.verbose_name for config in apps.get_app_configs()}
    labels[OURS] = gettext_lazy("People: take all access away from somebody who leaves")
    names = sorted(rooms(), key=lambda name: name == OURS)
    return [Scope(READ, _("Read everything")), *(Scope(name, labels.get(name, name)) for name in names)]


def words_of(scopes: Collection[str]) -> list[str]:
    """The scopes as people read them."""
    if EVERYTHING in scopes:
        return [_("everything that a token may do")]
    return [str(scope.label) for scope in all_scopes() if scope.name in scopes]


def reach_of(view: View, room: str) -> str:
    """How far tokens get with a view: its mark, or what goes without one."""
    return str(getattr(view, _MARK, NEVER if room == OURS else CHANGES if room else READS))


def may(scopes: Collection[str], view: View, room: str, method: str) -> bool:
    """Whether a token with these scopes may send this request. `room` is "" for a URL of none."""
    reach, reading = reach_of(view, room), method in READING
    if reach == NEVER or (reach == READS and not reading):
        return False
    return EVERYTHING in scopes or (room != "" and room in scopes) or (reading and READ in scopes)
