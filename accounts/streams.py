"""Streams end with the right to see them: the session ended, the token revoked, the object no longer one's own.

For all streams of a process, one look every two seconds. Whatever streams ask the database goes through one thread,
so that all of them together take one connection for a moment (`in_reader`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django.contrib.auth.models import AnonymousUser
from django.db import DatabaseError, close_old_connections
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import ApiToken, Session, User

LOOK_EVERY = 2.0  # seconds
Visible = Callable[[User], QuerySet[Any]]
Result = TypeVar("Result")
_reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="streams")


async def in_reader(ask: Callable[[], Result]) -> Result:
    """What `ask` finds in the database, with a connection that is closed afterwards; one at a time in a process."""

    def asked() -> Result:
        close_old_connections()
        try:
            return ask()
        finally:
            close_old_connections()

    return await asyncio.get_running_loop().run_in_executor(_reader, asked)


@dataclass(eq=False)
class Watched:
    """One stream, and by what right it runs."""

    user_id: int
    session_key: str | None
    token_id: int | None
    visible: Visible
    pk: int
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
        while self.streams:
            await asyncio.sleep(LOOK_EVERY)
            # No word from the database is no reason to end; the next look is near.
            with suppress(DatabaseError):
                for stream in await in_reader(partial(_over, list(self.streams))):
                    stream.over.set()


_watches: "WeakKeyDictionary[asyncio.AbstractEventLoop, Watch]" = WeakKeyDictionary()


def _over(streams: list[Watched]) -> list[Watched]:
    """Those that may not go on."""
    keys, tokens = _alive(streams)
    alive = {each for each in streams if each.session_key in keys or each.token_id in tokens}
    seen = _seen(alive)
    return [
        each for each in streams if each not in alive or (each.visible, each.user_id, each.pk) not in seen
    ]


def _seen(streams: set[Watched]) -> set[tuple[Visible, int, int]]:
    """What these people may still see of what they watch: one query for each person and kind of thing."""
    wanted: dict[tuple[Visible, int], set[int]] = {}
    for each in streams:
        wanted.setdefault((each.visible, each.user_id), set()).add(each.pk)
    people = User.objects.filter(is_active=True).in_bulk({user_id for _visible, user_id in wanted})
    return {
        (visible, user_id, pk)
        for (visible, user_id), keys in wanted.items()
        if user_id in people
        for pk in visible(people[user_id]).filter(pk__in=keys).values_list("pk", flat=True)
    }


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
    request: HttpRequest, user: User | AnonymousUser, stream: AsyncIterator[bytes], visible: Visible, pk: int
) -> AsyncIterator[bytes]:
    """The stream, as long as the caller's session or token lives and `pk` is among what is `visible` to him."""
    token: Any = getattr(request, "api_token", None)
    session = None if token else request.session.session_key
    watched = Watched(user.pk or 0, session, token.pk if token else None, visible, pk)
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
