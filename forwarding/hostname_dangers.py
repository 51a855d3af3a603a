"""What a change of a hostname may cut off: such a change wants a second word."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from forwarding.models import HostnameDestination, HostnameForward
from servers.models import Server
from servers.panel import leads_to_panel


@dataclass(frozen=True)
class Served:
    """What visitors get of one hostname: everything but its note."""

    domain: str
    settings: tuple[object, ...]
    destinations: tuple[tuple[int, int, bool], ...]
    active: bool

    @classmethod
    def of(cls, hostname: HostnameForward, destinations: Iterable[HostnameDestination]) -> "Served":
        """As the rows say."""
        unlike = {
            "id",
            "domain",
            "active",
            "note",
            "created_at",
            "version",
            "left_out",
            "answers",
            "answers_at",
        }
        fields = [field.attname for field in hostname._meta.fields if field.name not in unlike]
        return cls(
            hostname.domain,
            tuple(getattr(hostname, name) for name in fields),
            tuple((one.server_id, one.weight, one.backup) for one in destinations),
            hostname.active,
        )


def dangers(host: Server, before: Served | None, after: Served | None) -> list[str]:
    """What a change from `before` to `after` may cut off; empty where it wants no second word."""
    before, after = (one if one and one.active else None for one in (before, after))
    if before == after:
        return []
    return list(_panel(host, before, after))


def led_to(server: Server) -> Iterator[tuple[HostnameForward, str]]:
    """The hostnames that lead to a server and that nobody may lose with it, and why."""
    for one in server.hostname_destinations.select_related("hostname__host"):
        served = Served.of(one.hostname, list(one.hostname.destinations.all()))
        yield from ((one.hostname, said) for said in dangers(one.hostname.host, served, None))


def _panel(host: Server, before: Served | None, after: Served | None) -> Iterator[str]:
    """Ways to the panel itself, by its name or to its server."""
    name = (urlsplit(settings.GESTION_URL).hostname or "").lower()
    own = [one for one in (before, after) if one and name and covers(one.domain, name)]
    if own and not _more_exact(own[0].domain, name):
        yield _(
            "Gestion itself is reached by %(name)s: by you, and by every server that fetches its keys there."
        ) % {"name": name}
    elif before is not None and leads_to_panel(host, [pk for pk, _weight, _backup in before.destinations]):
        yield _("This hostname leads to the server that Gestion itself runs on.")


def covers(domain: str, name: str) -> bool:
    """Whether a request for this name may go to a hostname of this domain."""
    return name == domain or (domain.startswith("*.") and name.endswith(domain[1:]))


def _more_exact(domain: str, name: str) -> bool:
    """Whether another hostname takes the name before this wildcard does."""
    return domain != name and HostnameForward.objects.filter(domain=name, active=True).exists()
