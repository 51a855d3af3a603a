"""Who does something: a signed-in person, or a part of the panel itself."""

from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User


@dataclass(frozen=True)
class Actor:
    """Who acts, and from where; every service takes one and writes it into the audit trail."""

    user: User | None
    name: str
    address: str | None = None
    token_id: int | None = None  # of the API token by which a program of that person asked

    @property
    def asker(self) -> dict[str, int] | None:
        """Who asks, as work keeps it that begins later and asks then whether this person still may; None: the panel."""
        if self.user is None:
            return None
        token = {"token": self.token_id} if self.token_id else {}
        return {"person": self.user.pk, **token}

    @classmethod
    def system(cls, name: str) -> "Actor":
        """A part of the panel, such as "scheduler"."""
        return cls(None, name)


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in user of a request, with the address it came from."""
    user = request.user if request.user.is_authenticated else None
    token = getattr(request, "api_token", None)
    name = user.username if user else "anonymous"
    return Actor(user, name, client_address(request), token.pk if token else None)


def client_address(request: HttpRequest) -> str | None:
    """The caller's address; the proxy's word for it only where the proxy is trusted."""
    text = request.META.get("REMOTE_ADDR", "")
    if settings.TRUST_PROXY:
        text = request.headers.get("X-Forwarded-For", text).rsplit(",", 1)[-1].strip()
    try:
        return str(ip_address(text))
    except ValueError:
        return None
