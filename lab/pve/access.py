"""Who is asking: tickets with their CSRF token, API tokens, passwords."""

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass
from urllib.parse import unquote

from .errors import ApiError, Unauthenticated
from .world import User, World

TICKET_SECONDS = 7200
REFUSED = "Authentication failed!"


@dataclass(frozen=True)
class Identity:
    """Who asks: "app@pve", or "app@pve!token"."""

    id: str

    @property
    def user(self) -> str:
        """The user, of a token too."""
        return self.id.partition("!")[0]

    @property
    def token(self) -> str:
        """The token's name, or ""."""
        return self.id.partition("!")[2]


class Access:
    """Checks what a request brings, and gives tickets."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._key = secrets.token_bytes(32)

    def identify(self, method: str, headers: dict[str, str]) -> Identity:
        """Return who asks. Raises Unauthenticated. Header names are lower-case."""
        said = headers.get("authorization", "")
        ticket = _said(headers.get("cookie", ""), "PVEAuthCookie") or _said(said, "PVEAuthCookie")
        if not ticket:
            if token := _said(said, "PVEAPIToken"):
                return self._by_token(token)
            raise Unauthenticated("No ticket")
        user = self.ticket_user(ticket)
        if not user:
            raise Unauthenticated(REFUSED)
        if method != "GET" and not self._csrf_valid(user, headers.get("csrfpreventiontoken", "")):
            raise Unauthenticated("Permission denied - invalid csrf token")
        return Identity(user)

    def login(self, name: str, password: str) -> tuple[str, str]:
        """Return a ticket and its CSRF token for a password, or for a ticket that still holds.

        Raises ApiError, which the server answers late.
        """
        user = self.world.users.get(name)
        if not user or not _active(user) or not self._accepts(user, password):
            raise ApiError("authentication failure\n", 401)
        return self._ticket(name), self._csrf(name, int(time.time()))

    def ticket_user(self, ticket: str) -> str | None:
        """Return whose ticket it is, or None if it is none of ours, too old, or its user is gone."""
        match = re.fullmatch(r"(PVE:([^:]+):([0-9A-F]{8}))::(\S+)", ticket)
        if not match or not hmac.compare_digest(self._sign(match[1]), match[4]):
            return None
        age = time.time() - int(match[3], 16)
        user = self.world.users.get(match[2])
        return match[2] if user and _active(user) and -300 < age < TICKET_SECONDS else None

    def _accepts(self, user: User, password: str) -> bool:
        if user.password is not None and hmac.compare_digest(user.password.encode(), password.encode()):
            return True
        return self.ticket_user(password) == user.id

    def _by_token(self, token_and_secret: str) -> Identity:
        match = re.fullmatch(r"([^!]+)!([^=]+)=(\S+)", token_and_secret)
        user = self.world.users.get(match[1]) if match else None
        token = user.tokens.get(match[2]) if user and match else None
        if not match or not user or not token or not _active(user):
            raise Unauthenticated(REFUSED)
        expired = token.expire and token.expire < time.time()
        if expired or not hmac.compare_digest(token.secret.encode(), match[3].encode()):
            raise Unauthenticated(REFUSED)
        return Identity(f"{user.id}!{token.name}")

    def _ticket(self, user: str) -> str:
        plain = f"PVE:{user}:{int(time.time()):08X}"
        return f"{plain}::{self._sign(plain)}"

    def _csrf(self, user: str, when: int) -> str:
        return f"{when:08X}:{self._sign(f'csrf:{user}:{when:08X}')[:43]}"

    def _csrf_valid(self, user: str, given: str) -> bool:
        match = re.fullmatch(r"([0-9A-F]{8}):\S+", given)
        if not match or time.time() - int(match[1], 16) > TICKET_SECONDS:
            return False
        return hmac.compare_digest(self._csrf(user, int(match[1], 16)), given)

    def _sign(self, text: str) -> str:
        digest = hmac.digest(self._key, text.encode(), hashlib.sha512)
        return base64.b64encode(digest).decode()


def _said(header: str, name: str) -> str:
    """What a header has under this name, parted from it by an equals sign or a space, as Proxmox takes both."""
    match = re.search(rf"(?:^|\s){name}[= ]([^;]*)", header)
    return unquote(match[1]) if match else ""


def _active(user: User) -> bool:
    return user.enabled
