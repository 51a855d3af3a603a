"""What people have of servers: shown on their page, and said before they are deleted."""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from accounts.models import User
from accounts.registry import PersonFacts
from pages.registry import Held
from servers.identity import panel_identity
from servers.models import PanelIdentity

MOST_NAMED = 20


def person_changed(user: User, before: PersonFacts | None) -> None:
    """With a panel's first account its SSH key is made: who reads it later, as a program may, changes nothing."""
    if before is None and user.is_admin and not PanelIdentity.objects.exists():
        public = panel_identity().public_key
        record(Actor.system("servers"), "panel_identity.create", after={"public_key": public})


def person_holds(user: User) -> Iterable[Held]:
    """The servers that lose an owner."""
    servers = list(user.owned_servers.order_by("name")[: MOST_NAMED + 1])
    for server in servers[:MOST_NAMED]:
        yield Held(_("Ownership of %s") % server, server.get_absolute_url())
    if len(servers) > MOST_NAMED:
        yield Held(_("Ownership of %d more servers") % (user.owned_servers.count() - MOST_NAMED))
