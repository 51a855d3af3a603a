"""Streams end with the right to see them: the session ended, the token revoked, the object no longer one's own.

For all streams of a process, one look every two seconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, close_old_connections
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import ApiToken, Session, User

LOOK_EVERY = 2.0  # seconds
ASK_EVERY = 10.0  # seconds between two questions whether the object may still be seen
MaySee = Callable[[User], bool]
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="may-still-see")


@dataclass(eq=False)
class Watched:
    """One stream, and by what right it runs."""

    user_id: int
    session_key: str | None
    token_id: int | None
    may_see: MaySee
    asked_at: float = field(default_factory=time.monotonic)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Watch:
    """All streams of one event loop."""

    def __init__(self) -> None:
        self.streams: set[Watched] = set()
        self._task: asyncio.Task[None] | None = None

    def join(self, stream: Watched) -> None:
        """Look after this one until it leaves."""
        self.streams.add(stream)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look_on())

    async def _look_on(self) -> None:
        loop = asyncio.get_running_loop()
        while self.streams:
            await asyncio.sleep(LOOK_EVERY)
            with suppress(
                DatabaseError
            ):  # no word from the database is no reason to end; the next look is near
                for stream in await loop.run_in_executor(_reader, _over, list(self.streams)):
                    stream.over.set()


_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, Watch]" = WeakKeyDictionary()


def _over(streams: list[Watched]) -> list[Watched]:
    """Those that may not go on."""
    close_old_connections()
    try:
        keys, tokens = _alive(streams)
        over = [each for each in streams if each.session_key not in keys and each.token_id not in tokens]
        now = time.monotonic()
        due = [each for each in streams if each not in over and each.asked_at < now - ASK_EVERY]
        people = User.objects.filter(is_active=True).in_bulk({each.user_id for each in due}) if due else {}
        for each in due:
            each.asked_at = now
            person = people.get(each.user_id)
            if person is None or not each.may_see(person):
                over.append(each)
        return over
    finally:
        close_old_connections()


def _alive(streams: list[Watched]) -> tuple[set[str | None], set[int | None]]:
    sessions = Session.objects.filter(
        session_key__in={each.session_key for each in streams if each.session_key}
    )
    tokens = ApiToken.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=timezone.now()),
        pk__in={each.token_id for each in streams if each.token_id},
        user__is_active=True,
    )
    by_session = any(each.session_key for each in streams)
    by_token = any(each.token_id for each in streams)
    return (
        set(sessions.filter(user__is_active=True).values_list("session_key", flat=True))
        if by_session
        else set(),
        set(tokens.values_list("pk", flat=True)) if by_token else set(),
    )


async def while_allowed(
    request: HttpRequest, user: User | AnonymousUser, stream: AsyncIterator[bytes], may_see: MaySee
) -> AsyncIterator[bytes]:
    """The stream, as long as the caller's session or token lives and `may_see` says yes of him."""
    token: Any = getattr(request, "api_token", None)
    session = None if token else request.session.session_key
    watched = Watched(user.pk or 0, session, token.pk if token else None, may_see)
    watch = _watches.setdefault(asyncio.get_running_loop(), Watch())
    watch.join(watched)
    over = asyncio.ensure_future(watched.over.wait())
    coming: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(_next(stream))
            waiting: set[asyncio.Future[Any]] = {coming, over}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if over.done():
                return
            piece = coming.result()
            if piece is None:
                return
            coming = None
            yield piece
    finally:
        watch.streams.discard(watched)
        over.cancel()
        await _close(stream, coming)


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    return await anext(stream, None)


async def _close(stream: AsyncIterator[bytes], coming: "asyncio.Future[bytes | None] | None") -> None:
    if coming is not None and not coming.done():
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming
    if hasattr(stream, "aclose"):
        await stream.aclose()
