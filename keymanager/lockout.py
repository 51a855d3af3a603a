"""The last way in: which servers a change would leave without one.

Counted is root's key set: whether any key is in it, whether one is an active admin's or the panel's own, and
whether the panel's own is. A server loses a way in when a change takes the last of one of these.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from accounts.models import User
from keymanager.models import Group, Key
from pages.second_word import SecondWordNeeded, given
from servers.models import PanelIdentity, Server, UnixUser

MOST_NAMED = 10


@dataclass(frozen=True)
class Ways:
    """Who can log in as root under one keymanager name."""

    anyone: bool = False
    trusted: bool = False  # an active admin's key, or the panel's
    panel: bool = False

    def __or__(self, other: "Ways") -> "Ways":
        return Ways(self.anyone or other.anyone, self.trusted or other.trusted, self.panel or other.panel)


class LockedOut(SecondWordNeeded):
    """A change would take the last way in to these servers; nothing was changed."""

    def __init__(self, nobody: list[str], no_admin: list[str], no_panel: list[str]) -> None:
        self.nobody, self.no_admin, self.no_panel = nobody, no_admin, no_panel
        told = (
            (nobody, _("After this nobody could log in as root with a key from here: %s.")),
            (no_admin, _("After this no admin could log in as root: %s.")),
            (no_panel, _("After this Gestion itself could not log in as root: %s.")),
        )
        super().__init__([sentence % _listed(names) for names, sentence in told if names])


def check_ways(before: dict[str, Ways], after: dict[str, Ways]) -> None:
    """Raises LockedOut for a way in that was there before and is not after, unless the second word was given.

    Names that have no unix user root any more do not count.
    """
    if given():
        return
    lost: tuple[set[str], set[str], set[str]] = set(), set(), set()
    for name, had in before.items():
        has = after.get(name, had)
        if had.anyone and not has.anyone:
            lost[0].add(name)
        elif had.trusted and not has.trusted:
            lost[1].add(name)
        elif had.panel and not has.panel:
            lost[2].add(name)
    if any(lost):
        raise LockedOut(*map(_servers, lost))


def ways_in(names: Iterable[str]) -> dict[str, Ways]:
    """Who can log in as root, by keymanager name; names without a unix user root are left out."""
    roots = UnixUser.objects.filter(name="root", server__keymanager_name__in=set(names)).order_by()
    of_group, of_owner = _ways_of_groups(), _ways_of_people()
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
    return found


def _ways_of_groups() -> dict[int, Ways]:
    """What each group's members bring; groups without a key bring nothing."""
    panel = PanelIdentity.objects.exists()
    people = Key.objects.filter(person__is_active=True, person__key_groups=OuterRef("pk"))
    rows = Group.objects.order_by().annotate(
        by_admin=Exists(people.filter(person__is_admin=True)),
        by_person=Exists(people),
        by_server=Exists(Key.objects.filter(unix_user__server__key_groups=OuterRef("pk"))),
        by_key=Exists(Key.objects.filter(key_groups=OuterRef("pk"))),
    )
    return {
        group.pk: Ways(
            anyone=group.by_person or group.by_server or group.by_key or (panel and group.includes_panel),
            trusted=group.by_admin or (panel and group.includes_panel),
            panel=panel and group.includes_panel,
        )
        for group in rows
    }


def _ways_of_people() -> dict[int, Ways]:
    rows = User.objects.filter(is_active=True).filter(Exists(Key.objects.filter(person=OuterRef("pk"))))
    return {pk: Ways(anyone=True, trusted=admin) for pk, admin in rows.values_list("pk", "is_admin")}


def _servers(names: set[str]) -> list[str]:
    return list(
        Server.objects.filter(keymanager_name__in=names).order_by("name").values_list("name", flat=True)
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        return _("%(names)s and %(more)d more") % {"names": shown, "more": len(names) - MOST_NAMED}
    return shown
