"""Tries that are counted: in the database, so that every process of the panel counts the same."""

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address, ip_network

from axes.models import AccessAttempt, AccessLog
from django.utils import timezone
from django.utils.translation import ngettext

from accounts.models import Try

KEEP = timedelta(days=1)


class TryLater(Exception):  # noqa: N818  # an answer, not a fault
    """Too many tries; str() is a sentence for the page, `seconds` how long to wait."""

    def __init__(self, words: str, seconds: float) -> None:
        self.seconds = max(1, round(seconds))
        super().__init__(f"{words} {wait_words(self.seconds)}")


def wait_words(seconds: int) -> str:
    """When it is worth trying again."""
    if seconds < 60:
        return ngettext("Try again in %d second.", "Try again in %d seconds.", seconds) % seconds
    minutes = -(-seconds // 60)
    return ngettext("Try again in %d minute.", "Try again in %d minutes.", minutes) % minutes


@dataclass(frozen=True)
class Limit:
    """At most so many tries of a kind by one key, in a window of so many seconds."""

    kind: str
    most: int
    seconds: int = 900

    def note(self, key: str) -> Try:
        """Count a try. Do it before what is tried, so that tries at the same moment all count."""
        return Try.objects.create(kind=self.kind, key=key)

    def times(self, key: str) -> list[float]:
        """How many seconds ago each try in the window was, the newest first; no more than count."""
        now = timezone.now()
        rows = Try.objects.filter(kind=self.kind, key=key, at__gt=now - timedelta(seconds=self.seconds))
        newest = rows.order_by("-at").values_list("at", flat=True)[: self.most]
        return [(now - at).total_seconds() for at in newest]

    def left(self, key: str) -> float:
        """How many seconds to wait; 0 when another try is allowed."""
        times = self.times(key)
        return max(0.0, self.seconds - times[-1]) if len(times) >= self.most else 0.0

    def check(self, key: str, words: str) -> None:
        """Raises TryLater when there were too many."""
        seconds = self.left(key)
        if seconds:
            raise TryLater(words, seconds)

    def forget(self, key: str) -> None:
        """Start counting anew."""
        Try.objects.filter(kind=self.kind, key=key).delete()


def hidden(*parts: object) -> str:
    """A key that does not keep what was typed: people type passwords where the name belongs."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:40]


def network_of(address: str | None) -> str:
    """What counts as one place: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    if address is None:
        return "unknown"
    if ip_address(address).version == 4:
        return address
    return str(ip_network(f"{address}/64", strict=False))


def delete_old() -> None:
    """Delete what no limit looks at any more; of axes also what earlier versions had it keep for ever."""
    before = timezone.now() - KEEP
    Try.objects.filter(at__lt=before).delete()
    for kept in (AccessAttempt, AccessLog):
        kept.objects.filter(attempt_time__lt=before).delete()
