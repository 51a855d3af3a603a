"""Links with which a person sets a password: signed, for one use, for a while, and kept nowhere.

They are Django's password reset tokens: one ends when the password changes, at the next sign-in, when the
address changes, or by its age.
"""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import base36_to_int, urlsafe_base64_decode, urlsafe_base64_encode

from accounts.models import User


class LinkTokens(PasswordResetTokenGenerator):
    """Django's, with a purpose and an age of its own."""

    def __init__(self, purpose: str, hours: int) -> None:
        super().__init__()
        self.key_salt = f"accounts.password_links.{purpose}"
        self.hours = hours

    def check_token(self, user: User | None, token: str | None) -> bool:
        """Whether it is this person's, unused, and young enough."""
        if user is None or not token or not super().check_token(user, token):
            return False
        made = base36_to_int(token.partition("-")[0])
        return self._num_seconds(datetime.now()) - made <= self.hours * 3600  # noqa: DTZ005  # as Django counts


TOKENS = {"reset": LinkTokens("reset", 1), "invite": LinkTokens("invite", 72)}


def link_for(user: User, why: str) -> str:
    """The full address of the page where this person sets a password; `why` is reset or invite."""
    name = urlsafe_base64_encode(force_bytes(user.pk))
    path = reverse("accounts:new_password", args=[name, f"{why}-{TOKENS[why].make_token(user)}"])
    return settings.GESTION_URL.rstrip("/") + path


def person_of(name: str, text: str) -> User | None:
    """Whose link this is; None when it is used, too old, or nobody's."""
    why, _dash, token = text.partition("-")
    tokens = TOKENS.get(why)
    try:
        user = User.objects.filter(pk=int(urlsafe_base64_decode(name)), is_active=True).first()
    except (ValueError, OverflowError):
        return None
    return user if tokens and tokens.check_token(user, token) else None
