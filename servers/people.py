"""What people have of servers: shown on their page, and said before they are deleted."""

from collections.abc import Iterable

from django.utils.translation import gettext as _

from accounts.models import User
from pages.registry import Held

MOST_NAMED = 20


def person_holds(user: User) -> Iterable[Held]:
    """The servers that lose an owner."""
    servers = list(user.owned_servers.order_by("name")[: MOST_NAMED + 1])
    for server in servers[:MOST_NAMED]:
        yield Held(_("Ownership of %s") % server, server.get_absolute_url())
    if len(servers) > MOST_NAMED:
        yield Held(_("Ownership of %d more servers") % (user.owned_servers.count() - MOST_NAMED))
