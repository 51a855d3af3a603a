"""The last way in: which servers a change would leave without one.

Counted is root's key set: whether any key in it opens a shell, whether one is an active admin's or the panel's own,
and whether the panel's own is. A key that has expired, counts only from some addresses or runs a command of its own
is no way in; one that will expire is a way in that ends. A server loses a way in when a change takes the last of one
of these.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce

from django.db.models import OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from keymanager.key_options import is_sent, limits_of
from keymanager.keysets import KeyLine, key_sets, panel_line
from keymanager.models import Group, Key, KeyQuerySet
from pages.second_word import SecondWordNeeded, ask
from servers.models import PanelIdentity, Server, UnixUser

MOST_NAMED = 10


FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True)
class Ways:
    """Until when somebody can get a shell as root under one keymanager name; None: nobody can."""

    anyone: datetime | None = None
    trusted: datetime | None = None  # an active admin, or the panel
    panel: bool = False

    def __or__(self, other: "Ways") -> "Ways":
        return Ways(
            _later(self.anyone, other.anyone), _later(self.trusted, other.trusted), self.panel or other.panel
        )

    @property
    def ends_at(self) -> datetime | None:
        """When the last way in ends by time, a trusted one where there is any; None where one lasts, or none is."""
        last = self.trusted or self.anyone
        return last if last != FOREVER else None

    def outlasts(self, other: "Ways") -> bool:
        """Whether a way in that lasts is here, and there none, or only such as end by time."""
        return self.trusted == FOREVER != other.trusted or self.anyone == FOREVER != other.anyone


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)


class LockedOut(SecondWordNeeded):
    """A change would take the last way in to these servers; nothing was changed."""

    def __init__(
        self, nobody: list[str], no_admin: list[str], no_panel: list[str], ending: list[str]
    ) -> None:
        self.nobody, self.no_admin, self.no_panel, self.ending = nobody, no_admin, no_panel, ending
        told = (
            (nobody, _("After this nobody could log in as root with a key from here: %s.")),
            (no_admin, _("After this no admin could log in as root: %s.")),
            (no_panel, _("After this Gestion itself could not log in as root: %s.")),
            (ending, _("After this the last key for root, or the last of an admin, ends by time: %s.")),
        )
        super().__init__([sentence % _listed(names) for names, sentence in told if names])


def check_ways(
    before: dict[str, Ways], after: dict[str, Ways], own: tuple[Server, Ways, Ways] | None = None
) -> None:
    """Raises LockedOut for a way in that was there before and is not after, unless the second word was given.

    One that lasts is lost, too, where only such are left that end by time. Names that have no unix user root any more
    do not count. `own`: a server with what it had and has, where it goes by another name, or has no root, from now on.
    """
    lost = [set(_servers(names)) for names in _lost(before, after)]
    if own:
        server, had, has = own
        its = _lost({server.name: had}, {server.name: has})
        lost = [names | more for names, more in zip(lost, its, strict=True)]
    if any(lost):
        ask(LockedOut(*map(sorted, lost)))


def _lost(before: dict[str, Ways], after: dict[str, Ways]) -> list[set[str]]:
    """The names that lose any way in, an admin's, the panel's own, one that lasts: each its worst loss."""
    lost: list[set[str]] = [set(), set(), set(), set()]
    for name, had in before.items():
        has = after.get(name, had)
        if had.anyone and not has.anyone:
            lost[0].add(name)
        elif had.trusted and not has.trusted:
            lost[1].add(name)
        elif had.panel and not has.panel:
            lost[2].add(name)
        elif had.outlasts(has):
            lost[3].add(name)
    return lost


def ways_in(names: Iterable[str], gone: Iterable[int] = ()) -> dict[str, Ways]:
    """Who can log in as root, by keymanager name; names without a unix user root are left out.

    `gone`: the ids of unix users that are taken for deleted, with their keys.
    """
    gone = list(gone)
    roots = UnixUser.objects.filter(name="root", server__keymanager_name__in=set(names)).order_by()
    roots = roots.exclude(pk__in=gone)
    of_group, of_owner = _ways_of_groups(gone), _ways_of_people()
    found: dict[str, Ways] = {}
    names_of: dict[int, str] = {}
    for unit, name in roots.values_list("pk", "server__keymanager_name"):
        names_of[unit] = name
        found[name] = Ways()
    for path, ways in (
        ("allowed_groups", of_group),
        ("server__allowed_groups", of_group),
        ("server__owners", of_owner),
    ):
        for unit, source in roots.filter(**{f"{path}__isnull": False}).values_list("pk", path):
            found[names_of[unit]] |= ways.get(source, Ways())
    return found if gone else found | _as_sent(found)


def _as_sent(found: dict[str, Ways]) -> dict[str, Ways]:
    """Where only keys of servers let anybody in, as the key sets say: unix users may share a key with other options."""
    doubtful = [name for name, ways in found.items() if ways.anyone and not ways.trusted]
    if not doubtful:
        return {}
    return {name: Ways(_opened_until(users["root"])) for name, users in key_sets(doubtful).items()}


def others_until(name: str) -> datetime | None:
    """Until when somebody else than the panel can get a shell as root under this keymanager name; None: nobody can."""
    ours = {panel_line(key).fingerprint for key in PanelIdentity.objects.values_list("public_key", flat=True)}
    lines = key_sets([name]).get(name, {}).get("root", ())
    return _opened_until(line for line in lines if line.fingerprint not in ours)


def _opened_until(lines: Iterable[KeyLine]) -> datetime | None:
    limits = [limits_of(line.options) for line in lines if is_sent(line.options, line.text)]
    ends = [one.ends_at or FOREVER for one in limits if one.opens_shell]
    return max((end for end in ends if end > timezone.now()), default=None)


def _ways_of_groups(gone: list[int]) -> dict[int, Ways]:
    """What each group's members bring; groups without a key bring nothing."""
    panel = PanelIdentity.objects.exists()
    people = Key.objects.filter(person__is_active=True, person__key_groups=OuterRef("pk"))
    of_servers = Key.objects.exclude(unix_user__in=gone) if gone else Key.objects.all()
    rows = Group.objects.order_by().annotate(
        by_admin=_until(people.filter(person__is_admin=True)),
        by_person=_until(people),
        by_server=_until(of_servers.filter(unix_user__server__key_groups=OuterRef("pk"))),
        by_key=_until(of_servers.filter(key_groups=OuterRef("pk"))),
    )
    found = {}
    for group in rows:
        ours = FOREVER if panel and group.includes_panel else None
        anyone = reduce(_later, (group.by_person, group.by_server, group.by_key, ours))
        found[group.pk] = Ways(anyone, _later(group.by_admin, ours), ours is not None)
    return found


def _until(keys: KeyQuerySet) -> Subquery:
    """Until when the one of these keys that lasts longest opens a shell."""
    until = keys.opening().order_by().annotate(until=Coalesce("ends_at", Value(FOREVER)))
    return Subquery(until.order_by("-until").values("until")[:1])


def _ways_of_people() -> dict[int, Ways]:
    rows = User.objects.filter(is_active=True).annotate(
        until=_until(Key.objects.filter(person=OuterRef("pk")))
    )
    found = rows.exclude(until=None).values_list("pk", "is_admin", "until")
    return {pk: Ways(until, until if admin else None) for pk, admin, until in found}


def _servers(names: set[str]) -> list[str]:
    return list(
        Server.objects.filter(keymanager_name__in=names).order_by("name").values_list("name", flat=True)
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        return _("%(names)s and %(more)d more") % {"names": shown, "more": len(names) - MOST_NAMED}
    return shown
