"""Links with which a person sets a password: signed, for one use, for a while, and kept nowhere.

They are Django's password reset tokens: one ends when the password changes, at the next sign-in, when the
address changes, or by its age; and, by our count, with the next one of its kind and when the person is switched off.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db.models import F
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import base36_to_int, urlsafe_base64_decode, urlsafe_base64_encode

from accounts.models import User


class LinkTokens(PasswordResetTokenGenerator):
    """Django's, with a purpose and an age of its own."""

    def __init__(self, purpose: str, hours: int, counted_by: str) -> None:
        super().__init__()
        self.counted_by = counted_by
        self.key_salt = f"accounts.password_links.{purpose}"
        self.hours = hours

    def check_token(self, user: User | None, token: str | None) -> bool:
        """Whether it is this person's, unused, and young enough."""
        if user is None or not token or not super().check_token(user, token):
            return False
        made = base36_to_int(token.partition("-")[0])
        return self._num_seconds(datetime.now()) - made <= self.hours * 3600  # noqa: DTZ005  # as Django counts

    def _make_hash_value(self, user: User, timestamp: int) -> str:
        return f"{super()._make_hash_value(user, timestamp)}{getattr(user, self.counted_by)}"


TOKENS = {
    "reset": LinkTokens("reset", 1, "resets_sent"),
    "invite": LinkTokens("invite", 72, "invites_sent"),
}


def fresh_link(user: User, why: str) -> str:
    """A new link in the place of earlier ones of its kind."""
    _count(user, TOKENS[why].counted_by)
    return link_for(user, why)


def end_links(user: User) -> None:
    """No link that this person was sent counts any more."""
    for tokens in TOKENS.values():
        _count(user, tokens.counted_by)


def _count(user: User, field: str) -> None:
    User.objects.filter(pk=user.pk).update(**{field: F(field) + 1})
    user.refresh_from_db(fields=[field])


def link_for(user: User, why: str) -> str:
    """The full address of the page where this person sets a password; `why` is reset or invite."""
    name = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("accounts:new_password", args=[name, f"{why}-{TOKENS[why].make_token(user)}"])
    return settings.GESTION_URL.rstrip("/") + path


def person_of(name: str, text: str, *, lock: bool = False) -> User | None:
    """Whose link this is; None when it is used, too old, or nobody's. `lock`: the row, for its one use."""
    rows = User.objects.select_for_update() if lock else User.objects
    why, _dash, token = text.partition("-")
    tokens = TOKENS.get(why)
    try:
        user = rows.filter(pk=int(urlsafe_base64_decode(name)), is_active=True).first()
    except (ValueError, OverflowError):
        return None
    return user if tokens and tokens.check_token(user, token) else None
