"""Rows → answers, ready to be sent. Runs in the endpoint's worker thread and on pages that compare."""

import base64
import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from django.conf import settings
from django.db import connection, transaction

from keymanager.keysets import KeyLine, key_sets
from keymanager.lines import is_user
from keymanager.models import KeySetRevision
from keymanager.protocol import (
    NAMESPACE,
    PROOF,
    PROOF_NAMESPACE,
    USER_NAMESPACE,
    Content,
    clean_line,
    content_of,
    proof_message,
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
    """The whole answer for one URL: headers of a 200 and of a 304, without their proof, and the body in parts.

    Parts are lines that other answers share, so that ten thousand answers take little memory; joining them
    takes a few microseconds.
    """

    etag: bytes  # with its quotes, as in the header
    parts: tuple[bytes, ...]
    status_200: dict[str, object]
    status_304: dict[str, object]

    @classmethod
    def of(cls, etag: str, parts: tuple[bytes, ...], extra: Headers) -> "Answer":
        """The answer with these parts; `extra` are headers of the 200."""
        quoted = b'"%s"' % etag.encode()
        short = [(b"ETag", quoted), *FIXED]
        length = (b"Content-Length", b"%d" % sum(map(len, parts)))
        return cls(
            quoted,
            parts,
            {"type": "http.response.start", "status": 200, "headers": [*short, *SAFE, length, *extra]},
            {"type": "http.response.start", "status": 304, "headers": short},
        )

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes beyond the shared lines."""
        return 2500 + 8 * len(self.parts)


@dataclass
class NameAnswers:
    """All answers of one keymanager name: the server's, and each unix user's when somebody asked for it."""

    name: str
    revision: int
    spans: Mapping[str, tuple[int, int]]  # of each unix user's lines among the server's parts
    signer: Signer
    server: Answer
    users: dict[str, Answer] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """About how many bytes of memory this takes beyond the shared lines."""
        return self.server.size + sum(answer.size for answer in self.users.values())

    def proved(self, user: str, answer: Answer, start: dict[str, object], nonce: str) -> dict[str, object]:
        """A start of this answer with the proof of when it was given, for whoever made up this nonce.

        The panel's only work for each request that costs more than a look into a table: one signature.
        """
        at = int(time.time())
        message = proof_message(
            self.name, user, self.revision, answer.etag[1:-1].decode(), at=at, nonce=nonce
        )
        signature = base64.b64encode(self.signer.sign(message, PROOF_NAMESPACE))
        headers = [*start["headers"], (PROOF, b"1 %d %d %s" % (self.revision, at, signature))]  # type: ignore[misc]
        return {**start, "headers": headers}

    def user(self, user: str) -> Answer | None:
        """The answer for one unix user; None when the name has no such user."""
        if user not in self.users and user in self.spans:
            start, end = self.spans[user]
            parts = user_body(self.server.parts[start:end])
            body = b"".join(parts)
            message = user_message(self.name, user, self.revision, body)
            signature = base64.b64encode(self.signer.sign(message, USER_NAMESPACE))
            extra = [
                (b"Gestion-Keys-Revision", b"%d" % self.revision),
                (b"Gestion-Keys-Signature", signature),
            ]
            self.users[user] = Answer.of(hashlib.sha256(body).hexdigest()[:40], parts, extra)
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
    # Unix users with the same groups share one tuple of lines: render each once. The tuples live as long as
    # `sets`.
    known: dict[int, tuple[bytes, ...]] = {}
    sets = key_sets(names)
    return {
        name: content_of(
            {user: _rendered(lines, known) for user, lines in users.items() if _named_well(user)}
        )
        for name, users in sets.items()
    }


@lru_cache(10_000)
def _named_well(user: str) -> bool:
    good = is_user(user)
    if not good:
        log.error("Unix user %a is in no answer: hosts would refuse its name.", user)
    return good


_lines: dict[KeyLine, bytes | None] = {}  # every line once in this process, shared by all answers
_MOST_LINES = 200_000


def _rendered(lines: tuple[KeyLine, ...], known: dict[int, tuple[bytes, ...]]) -> tuple[bytes, ...]:
    found = known.get(id(lines))
    if found is None:
        if len(_lines) > _MOST_LINES:
            _lines.clear()
        clean = [_lines[line] if line in _lines else _line(line) for line in lines]
        found = known[id(lines)] = tuple(line for line in clean if line is not None)
    return found


def _line(line: KeyLine) -> bytes | None:
    text = _lines[line] = clean_line(line.text, line.options)
    if text is None:  # one odd row must not keep the fleet from the other keys
        log.error("Key %s is in no answer: hosts would refuse its line.", line.fingerprint)
    return text


def render(name: str, revision: int, content: Content, signer: Signer) -> NameAnswers:
    """The answers of one name, signed."""
    message = server_message(name, revision, content)
    signature = armoured(signer.sign(b"".join(message), NAMESPACE))
    spans = {user: (start + 2, end + 2) for user, (start, end) in content.spans.items()}
    return NameAnswers(name, revision, spans, signer, Answer.of(content.etag, (*message, signature), []))
