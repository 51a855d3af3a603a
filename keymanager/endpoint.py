"""The URLs that hosts curl ⚓: a plain ASGI application, mounted before Django by gestion/asgi.py.

What travels is described in docs/keymanager-protocol.md.

GET /keymanager/servers/getKeys/<keymanager name>/              all unix users, signed
GET /keymanager/servers/getKeys/<keymanager name>/<unix user>/  one unix user's lines between the markers

No middleware of Django's runs here, so every check is made here: method, Host header, scheme, token, whose
name it is.
"""

import hmac
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from time import monotonic
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from keymanager.answers import FIXED, SAFE, Answer, NameAnswers
from keymanager.live import LiveAnswers, Unavailable
from keymanager.protocol import FOUND, HOLDS, NONCE, PATH, PROBLEM, PROVED, nonce_of
from keymanager.tokens import Holder

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

REFUSALS = 30  # an address, in WINDOW seconds; after that it hears 429
WINDOW = 60.0
MOST_ADDRESSES = 10_000
_NEARLY = re.compile("/+" + PATH.strip("/").replace("/", "/+") + "(/|$)", re.IGNORECASE)
_NO_BODY = {"type": "http.response.body", "body": b""}


class Refused(Exception):  # noqa: N818 - an answer, not an error of ours
    """The request is answered with this status and sentence: a comment, should a script of old take it for keys."""

    def __init__(self, status: int, sentence: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.body = b"# " + sentence.encode() + b"\n"
        self.headers = headers


class KeyEndpoint:
    """The ASGI application. One per process."""

    def __init__(self, live: LiveAnswers | None = None) -> None:
        self.live = live or LiveAnswers()
        self._good_hosts: set[bytes] = set()
        self._refusals: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._answer(scope, send)
        except Refused as refused:
            length = (b"Content-Length", b"%d" % len(refused.body))
            headers = [*FIXED, *SAFE, length, *refused.headers]
            await send({"type": "http.response.start", "status": refused.status, "headers": headers})
            await send({"type": "http.response.body", "body": refused.body})

    async def _answer(self, scope: Scope, send: Send) -> None:
        method = scope["method"]
        if method not in {"GET", "HEAD"}:
            raise Refused(405, "Only GET and HEAD.", ((b"Allow", b"GET, HEAD"),))
        headers = dict(scope["headers"])
        if headers.get(b"host", b"") not in self._good_hosts:
            self._check_host(headers.get(b"host", b""))
        # A script of old asks without a token, and mostly by plain HTTP: it gets nothing, and is told what it lacks.
        if scope["scheme"] != "https" and not settings.ALLOW_PLAIN_HTTP_KEYS and b"authorization" in headers:
            _check_proxy(headers)
        live = self.live
        live.last_used = now = monotonic()
        try:
            while now > live.fresh_until:  # again after a look that had begun too long before this request
                await live.refresh()
            holder = self._holder(scope, headers)
            name, user = _split(scope)
            if name != holder.name:
                raise self._counted(scope, headers, 404, "Not found.")
            entry = live.peek(name) or await live.answers(name)
            if entry is None:
                raise Refused(404, "Not found.")
            answer = self._of_user(entry, user) if user else entry.server
        except Unavailable:
            raise Refused(503, "Try again in a moment.", ((b"Retry-After", b"10"),)) from None
        fresh = _matches(headers.get(b"if-none-match"), answer.etag)
        live.reports.waiting[holder.server_id] = (
            304 if fresh else 200,
            headers.get(HOLDS),
            headers.get(PROBLEM),
            _address(scope, headers),
            headers.get(PROVED),
        )
        live.reports.note_found(holder.server_id, headers.get(FOUND))
        if holder.replaces:
            live.reports.used_new_token.add(holder.server_id)
        start = answer.status_304 if fresh else answer.status_200
        await send(entry.proved(user, answer, start, nonce_of(headers.get(NONCE))))
        if fresh or method == "HEAD":
            await send(_NO_BODY)
        else:
            await send({"type": "http.response.body", "body": b"".join(answer.parts)})

    def _of_user(self, entry: NameAnswers, user: str) -> Answer:
        before = entry.size
        answer = entry.user(user)
        if self.live.entries.get(entry.name) is entry:
            self.live.grown(entry.size - before)
        if answer is None:
            raise Refused(404, "Not found.")
        return answer

    def _holder(self, scope: Scope, headers: dict[bytes, bytes]) -> Holder:
        given = headers.get(b"authorization", b"")
        if given[:7].lower() == b"bearer ":
            digest = sha256(given[7:].strip()).hexdigest()
            holder = self.live.table.get(digest)
            if holder is not None and hmac.compare_digest(holder.digest, digest):
                return holder
        raise self._counted(
            scope,
            headers,
            401,
            "This server's own token is needed, as the keymanager's script sends it. An admin finds the script at "
            f"{settings.GESTION_URL.rstrip('/')}/keymanager/, on this server's page: 'Set it up' or 'By hand' "
            "('Script' once it is set up).",
            ((b"WWW-Authenticate", b'Bearer realm="gestion-keys"'),),
        )

    def _counted(
        self,
        scope: Scope,
        headers: dict[bytes, bytes],
        status: int,
        sentence: str,
        extra: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Refused:
        """A refusal that counts: an address with too many is told to wait, and is logged once a window.

        Only refusals are held back: behind one address, hosts with good tokens are answered all the same.
        """
        address = _address(scope, headers)
        now = monotonic()
        began, count = self._refusals.pop(address, (now, 0))
        if now - began > WINDOW:
            began, count = now, 0
        self._refusals[address] = (began, count + 1)
        if len(self._refusals) > MOST_ADDRESSES:
            self._refusals.popitem(last=False)
        if count == 0:
            log.warning("Refused a request for keys from %s with %d", address, status)
        if count >= REFUSALS:
            wait = max(1, int(began + WINDOW - now))
            # Many old scripts may stand behind one address, and each has but this answer to tell what it lacks.
            said = f"Too many refused requests. {sentence}"
            return Refused(429, said, ((b"Retry-After", b"%d" % wait),))
        return Refused(status, sentence, extra)

    def _check_host(self, host: bytes) -> None:
        domain, _port = split_domain_port(host.decode("latin-1"))
        allowed = settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
        if not domain or not validate_host(domain, allowed):
            raise Refused(400, "This panel does not go by that name. See ALLOWED_HOSTS.")
        if len(self._good_hosts) < 64:
            self._good_hosts.add(host)


def is_for_hosts(scope: Scope) -> bool:
    """Whether a request is the endpoint's: also one whose path a script spells nearly so, to be refused as text."""
    return scope["type"] == "http" and _NEARLY.match(_path(scope)) is not None


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    root: str = scope.get("root_path") or ""
    return path.removeprefix(root) if root else path


def _split(scope: Scope) -> tuple[str, str]:
    """The keymanager name and the unix user ("" for all) of a path."""
    if not _path(scope).startswith(PATH):
        raise Refused(404, "Not found.")
    parts = _path(scope)[len(PATH) :].split("/")
    if parts[-1] == "" and len(parts) == 2:
        return parts[0], ""
    if parts[-1] == "" and len(parts) == 3 and parts[1]:
        return parts[0], parts[1]
    raise Refused(404, "Not found.")


def _check_proxy(headers: dict[bytes, bytes]) -> None:
    """Keys never travel where somebody could change them: https, or a trusted proxy's word that it was."""
    if not (settings.TRUST_PROXY and headers.get(b"x-forwarded-proto", b"").strip().lower() == b"https"):
        raise Refused(
            403,
            "Keys are not given over plain HTTP. Use https; if a proxy in front speaks it, set TRUST_PROXY.",
        )


def _address(scope: Scope, headers: dict[bytes, bytes]) -> str:
    if settings.TRUST_PROXY and b"x-forwarded-for" in headers:
        return headers[b"x-forwarded-for"].rsplit(b",", 1)[-1].strip().decode("latin-1")[:45]
    client = scope.get("client")
    return client[0] if client else ""


def _matches(asked: bytes | None, etag: bytes) -> bool:
    """Whether If-None-Match names this ETag (RFC 9110, section 13.1.2; a proxy may have made it weak)."""
    if asked is None:
        return False
    if asked == etag:
        return True
    return any(one.strip().removeprefix(b"W/") in {etag, b"*"} for one in asked.split(b","))
