"""Guards sign-in against guessing, without a way to lock somebody else out from afar.

django-axes shuts a name out from one address after ten wrong passwords. Beyond that, one address with many
names has to wait, and a name that is tried from many addresses is slowed down for each strange address by
itself. A browser in which the person has signed in before is not concerned by what others try: it has a count
of its own.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from accounts.actors import client_address
from accounts.models import AuditEntry, User
from accounts.tries import Limit, TryLater, hidden, network_of

BY_ADDRESS = Limit("address", 30)
BY_NAME = Limit("name", 20)
BY_PAIR = Limit("pair", 10)
BY_DEVICE = Limit("device", 10)
BY_CODE = Limit("code", 5)

COOKIE = "gestion_device"
COOKIE_DAYS = 365
MOST_IN_COOKIE = 5  # people who share one browser
KNOWN_FOR = timedelta(days=90)
_SALT = "accounts.device"


def before_password(request: HttpRequest, username: str) -> "PasswordTry":
    """Count a try at this name's password. Raises TryLater when it is not to be made now."""
    username = _as_the_form_reads(username)
    network = network_of(client_address(request))
    device = device_of(request, username)
    name, pair = hidden(username), hidden(username, network)
    if device and not BY_DEVICE.left(device):
        request.known_device = True  # type: ignore[attr-defined]  # what axes is told by axes_lets_in
        return PasswordTry(request, [(BY_DEVICE, device)])
    BY_ADDRESS.check(network, _("Too many wrong passwords from your address."))
    if len(BY_NAME.times(name)) >= BY_NAME.most and not _known_address(username, request):
        _slow_down(pair)
    return PasswordTry(request, [(BY_ADDRESS, network), (BY_NAME, name), (BY_PAIR, pair)])


def _as_the_form_reads(username: str) -> str:
    """Blanks around a name and other forms of its letters are the same name (UsernameField), and the same count."""
    return User.normalize_username(username.strip())


class PasswordTry:
    """A try that counts as wrong until it is known to be right."""

    def __init__(self, request: HttpRequest, keys: list[tuple[Limit, str]]) -> None:
        self.keys = keys
        self.rows = [limit.note(key) for limit, key in keys]

    def was_right(self) -> None:
        """It does not count; nor do the earlier ones of this person from here."""
        for row in self.rows:
            row.delete()
        for limit, key in self.keys:
            if limit in (BY_PAIR, BY_DEVICE):
                limit.forget(key)


def _slow_down(pair: str) -> None:
    """The first try from a strange address is always let through; then it waits, twice as long each time."""
    times = BY_PAIR.times(pair)
    if times:
        wait = 60.0 * 2 ** (len(times) - 1)
        if times[0] < wait:
            raise TryLater(
                _("Many wrong passwords for this user name are coming from many places."), wait - times[0]
            )


def before_code(request: HttpRequest, user: User) -> str:
    """Count a try at this person's second factor; returns its key. Raises TryLater after five wrong ones."""
    key = device_of(request, user.username) or f"user {user.pk}"
    BY_CODE.check(key, _("Too many wrong codes."))
    BY_CODE.note(key)
    return key


def axes_lets_in(request: HttpRequest, _credentials: object = None) -> bool:
    """Whether axes is to leave this try alone: a known device has a count of its own."""
    return bool(getattr(request, "known_device", False))


def axes_name(request: HttpRequest, credentials: Mapping[str, Any] | None = None) -> str | None:
    """What axes keeps in the place of a user name: people type passwords where the name belongs."""
    typed = (request.POST if credentials is None else credentials).get("username")
    return hidden(typed) if typed else None


def _known_address(username: str, request: HttpRequest) -> bool:
    """Whether this person signed in from this address lately."""
    user = User.objects.filter(username=username).first()
    return (
        user is not None
        and AuditEntry.objects.filter(
            object_type=User._meta.label_lower,
            object_id=str(user.pk),
            verb="session.begin",
            address=client_address(request),
            at__gt=timezone.now() - KNOWN_FOR,
        ).exists()
    )


def device_of(request: HttpRequest, username: str) -> str | None:
    """The name of this browser, if the person has signed in with it before."""
    return _devices(request).get(hidden(username))


def know_device(request: HttpRequest, answer: HttpResponse, user: User) -> None:
    """Have this browser known as one of this person's."""
    name = hidden(user.username)
    devices = _devices(request)
    devices = {name: devices.get(name) or get_random_string(32), **devices}
    answer.set_cookie(
        COOKIE,
        signing.dumps(dict(list(devices.items())[:MOST_IN_COOKIE]), salt=_SALT),
        max_age=COOKIE_DAYS * 24 * 3600,
        httponly=True,
        samesite="Lax",
        secure=settings.SECURE,
    )


def _devices(request: HttpRequest) -> dict[str, str]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=COOKIE_DAYS * 24 * 3600)
    except signing.BadSignature:
        return {}
    return dict(found)
