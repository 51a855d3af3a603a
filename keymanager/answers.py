"""Rows → answers, ready to be sent. Runs in the endpoint's worker thread and on pages that compare."""

import base64
import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.db import connection, transaction

from keymanager.keysets import KeyLine, key_sets
from keymanager.models import KeySetRevision
from keymanager.protocol import (
    NAMESPACE,
    USER_NAMESPACE,
    Content,
    clean_line,
    content_of,
    server_message,
    user_body,
    user_message,
)
from keymanager.signing import Signer, armoured

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]
FIXED: Headers = [
    (b"Cache-Control", b"private, no-cache"),
    (b"Vary", b"Authorization"),
]
SAFE: Headers = [
    (b"Content-Type", b"text/plain; charset=utf-8"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Content-Security-Policy", b"default-src 'none'; frame-ancestors 'none'"),
]
if settings.SECURE:
    FIXED.append((b"Strict-Transport-Security", b"max-age=%d" % settings.SECURE_HSTS_SECONDS))


@dataclass
class Answer:
    """The whole answer for one URL: bytes and headers of a 200, headers of a 304."""

    etag: bytes  # with its quotes, as in the header
    body: bytes
    headers: Headers
    headers_304: Headers
    status_200: dict[str, object] = field(init=False)
    status_304: dict[str, object] = field(init=False)
    payload: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self.status_200 = {"type": "http.response.start", "status": 200, "headers": self.headers}
        self.status_304 = {"type": "http.response.start", "status": 304, "headers": self.headers_304}
        self.payload = {"type": "http.response.body", "body": self.body}

    def forget_body(self) -> None:
        """Keep the headers only."""
        self.body = b""
        self.payload = {}


@dataclass
class NameAnswers:
    """All answers of one keymanager name: the server's, and each unix user's when somebody asked for it."""

    name: str
    revision: int
    spans: Mapping[str, tuple[int, int]]  # of each unix user's lines in the server's body
    signer: Signer
    server: Answer
    slim: bool = False
    users: dict[str, Answer] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """About how many bytes the bodies take."""
        return len(self.server.body) + sum(len(answer.body) for answer in self.users.values())

    def make_slim(self) -> None:
        """Forget the bodies and keep what a 304 needs."""
        self.slim = True
        self.server.forget_body()
        self.users.clear()

    def user(self, user: str) -> Answer | None:
        """The answer for one unix user; None when the name has no such user. Not on a slim one."""
        if user not in self.users and user in self.spans:
            start, end = self.spans[user]
            body = user_body(self.server.body[start:end])
            message = user_message(self.name, user, self.revision, body)
            signature = base64.b64encode(self.signer.sign(message, USER_NAMESPACE))
            extra = [
                (b"Gestion-Keys-Revision", b"%d" % self.revision),
                (b"Gestion-Keys-Signature", signature),
            ]
            self.users[user] = _answer(hashlib.sha256(body).hexdigest()[:40], body, extra)
        return self.users.get(user)


def compute(names: Iterable[str], signer: Signer) -> dict[str, NameAnswers]:
    """The answers of these names, in a constant number of queries; a name that no server has is left out."""
    wanted = set(names)
    with one_moment():
        revisions = dict(KeySetRevision.objects.filter(name__in=wanted).values_list("name", "revision"))
        found = contents(wanted)
    return {name: render(name, revisions.get(name, 0), content, signer) for name, content in found.items()}


@contextmanager
def one_moment() -> Iterator[None]:
    """Everything read inside is of one moment: half of somebody's change is never seen.

    Inside a transaction of the caller's it is that transaction that decides. Takes no write lock.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":  # atomic() would take the write lock; a plain BEGIN reads a snapshot
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")
    else:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield


def contents(names: Iterable[str]) -> dict[str, Content]:
    """What hosts of these names should hold, in a constant number of queries."""
    # Unix users with the same groups share one tuple of lines: render each once. The tuples live as long as `sets`.
    known: dict[int, list[bytes]] = {}
    sets = key_sets(names)
    return {
        name: content_of({user: _rendered(lines, known) for user, lines in users.items()})
        for name, users in sets.items()
    }


def _rendered(lines: tuple[KeyLine, ...], known: dict[int, list[bytes]]) -> list[bytes]:
    found = known.get(id(lines))
    if found is None:
        found = known[id(lines)] = []
        for line in lines:
            text = clean_line(line.text)
            if text is None:  # one odd row must not keep the fleet from the other keys
                log.error("Key %s is in no answer: hosts would refuse its line.", line.fingerprint)
            else:
                found.append(text)
    return found


def render(name: str, revision: int, content: Content, signer: Signer) -> NameAnswers:
    """The answers of one name, signed."""
    message, before = server_message(name, revision, content)
    body = message + armoured(signer.sign(message, NAMESPACE))
    spans = {user: (before + start, before + end) for user, (start, end) in content.spans.items()}
    return NameAnswers(name, revision, spans, signer, _answer(content.etag, body, []))


def _answer(etag: str, body: bytes, extra: Headers) -> Answer:
    quoted = b'"%s"' % etag.encode()
    headers_304 = [(b"ETag", quoted), *FIXED]
    length = (b"Content-Length", b"%d" % len(body))
    return Answer(quoted, body, [*headers_304, *SAFE, length, *extra], headers_304)
