"""Answers and tokens as this process knows them, never older than a second.

One worker thread with its own database connection does everything that asks the database: it looks every 0.3
seconds whether anything changed (one small query), computes missing answers in batches, and writes fetch
reports. The event loop never waits for the database. While no look has succeeded within MAX_AGE seconds,
nothing is answered.
"""

import asyncio
import atexit
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError, connections

from keymanager import reports
from keymanager.answers import NameAnswers, compute
from keymanager.found_lines import note_fetches
from keymanager.models import KeySetRevision
from keymanager.signing import Signer, current_key
from keymanager.tokens import Holder, load_table

log = logging.getLogger(__name__)

POLL = 0.3  # seconds between looks while the endpoint is in use
MAX_AGE = 0.6  # seconds that a look counts: POLL, and room for a busy machine; a push waits as long
PATIENCE = 5.0  # seconds that a request waits for the database
IDLE = 30.0  # seconds without a request after which looking stops
ENTRY_LIFE = 300.0  # seconds an answer is kept at most, whatever the revisions say
TABLE_LIFE = 60.0  # likewise the table of tokens
BATCH = 100  # names computed at a time, so that looks come between
CONNECTION_LIFE = 10.0  # seconds; an SQLite file that was replaced is noticed after it
OVERLAP = 60_000  # milliseconds: revisions of transactions that took so long to commit are still seen

T = TypeVar("T")
_TROUBLE = (DatabaseError, InterfaceError, ImproperlyConfigured, OSError)


class Unavailable(Exception):  # noqa: N818 - a state of the world
    """The database did not answer; nothing true can be said now."""


class LiveAnswers:
    """What one process's endpoint answers from. All its state belongs to one event loop."""

    def __init__(self, most_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes or settings.KEYS_CACHE_BYTES
        self.fresh_until = 0.0
        self.last_used = 0.0
        self.table: dict[str, Holder] = {}
        self.entries: OrderedDict[str, NameAnswers] = OrderedDict()
        self.reports = reports.ReportBuffer()
        self._bytes = 0
        self._born: dict[str, float] = {}
        self._clock = -1
        self._revisions: dict[str, int] = {}  # of names that changed while this process looked
        self._signer: Signer | None = None
        self._table_until = 0.0
        self._connection_until = 0.0
        self._wanted: dict[str, asyncio.Future[NameAnswers | None]] = {}
        self._computing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="key-answers")
        atexit.register(reports.flush_now, self.reports)

    # What requests call, on the event loop.

    def peek(self, name: str) -> NameAnswers | None:
        """The answers of a name if they are at hand."""
        entry = self.entries.get(name)
        if entry is not None:
            if self._born[name] + ENTRY_LIFE < self.last_used:
                self._drop(name)
                return None
            self.entries.move_to_end(name)
        return entry

    async def refresh(self) -> None:
        """Look now, together with whoever looks already. Raises Unavailable."""
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        try:
            await asyncio.wait_for(asyncio.shield(self._looking), PATIENCE)
        except (*_TROUBLE, TimeoutError) as error:
            raise Unavailable from error

    async def answers(self, name: str) -> NameAnswers | None:
        """The answers of a name, computed with others that are wanted now; None for no such name. Raises
        Unavailable.
        """
        future = self._wanted.get(name)
        if future is None:
            future = self._wanted[name] = asyncio.get_running_loop().create_future()
            future.add_done_callback(_seen)
            if self._computing is None or self._computing.done():
                self._computing = asyncio.create_task(self._compute())
        try:
            return await asyncio.wait_for(asyncio.shield(future), PATIENCE)
        except (*_TROUBLE, TimeoutError) as error:
            raise Unavailable from error

    # Behind them.

    async def _in_worker(self, work: Callable[[], T]) -> T:
        """Run work in the worker thread. Its connection is kept for CONNECTION_LIFE, and never after an
        error.
        """

        def careful() -> T:
            if monotonic() > self._connection_until:
                connections.close_all()
                self._connection_until = monotonic() + CONNECTION_LIFE
            try:
                return work()
            except BaseException:
                connections.close_all()
                raise

        return await asyncio.get_running_loop().run_in_executor(self._worker, careful)

    async def _watch(self) -> None:
        """Look, and write reports, until nobody asked for a while."""
        flush_at = 0.0
        failing = False
        while self._is_used():
            await asyncio.sleep(POLL)
            try:
                if self._looking is None or self._looking.done():
                    self._looking = asyncio.create_task(self._look())
                await asyncio.shield(self._looking)
                if monotonic() >= flush_at:
                    flush_at = monotonic() + 1.0
                    await self._flush()
                failing = False
            except _TROUBLE as error:
                if not failing:
                    log.error("Key answers are held back until the database answers: %s", error)  # noqa: TRY400 - known
                failing = True
            if not self._is_used():
                await self._in_worker(connections.close_all)  # who asks meanwhile counts on the next round

    def _is_used(self) -> bool:
        return bool(self.reports.waiting or self.reports.found or monotonic() - self.last_used < IDLE)

    async def _flush(self) -> None:
        batch, used = self.reports.take()
        if batch or used:
            try:
                await self._in_worker(lambda: reports.write(batch, used))
            except _TROUBLE:
                self.reports.put_back(batch, used)
                raise
        if found := self.reports.take_found():
            try:
                await self._in_worker(lambda: note_fetches(found))
            except _TROUBLE:
                self.reports.put_back_found(found)
                raise

    async def _look(self) -> None:
        """Forget exactly what changed since the last look."""
        started = monotonic()
        table_due = started > self._table_until
        clock, changed, table, signer = await self._in_worker(lambda: self._read(table_due))
        if clock < self._clock:  # an older database was put back
            changed = {}
            self._forget_all()
        if signer is not None:
            self._forget_all()
            self._signer = signer
        for name, revision in changed.items():
            entry = self.entries.get(name)
            if entry is not None and entry.revision < revision:
                self._drop(name)
        self._revisions = changed or self._revisions
        if table is not None:
            self.table = table
            self._table_until = started + TABLE_LIFE
        self._clock = clock
        self.fresh_until = started + MAX_AGE

    def _read(self, table_due: bool) -> tuple[int, dict[str, int], dict[str, Holder] | None, Signer | None]:
        """In the worker: the clock; if it moved, what changed, the tokens and the signing key."""
        row = (
            KeySetRevision.objects.filter(name=KeySetRevision.CLOCK)
            .values_list("revision", flat=True)
            .first()
        )
        clock = row or 0
        changed: dict[str, int] = {}
        if clock > self._clock and self._clock >= 0:
            rows = KeySetRevision.objects.filter(revision__gt=self._clock - OVERLAP)
            changed = dict(rows.values_list("name", "revision"))
        back = clock < self._clock or self._clock < 0
        known = self._revisions
        renew_table = table_due or back or _moved(KeySetRevision.TOKENS, changed, known)
        renew_signer = self._signer is None or back or _moved(KeySetRevision.SIGNING, changed, known)
        return (
            clock,
            changed,
            load_table() if renew_table else None,
            Signer.of(current_key()) if renew_signer else None,
        )

    async def _compute(self) -> None:
        while waiting := [name for name, future in self._wanted.items() if not future.done()][:BATCH]:
            futures = {name: self._wanted[name] for name in waiting}
            found: dict[str, NameAnswers] = {}
            trouble: Exception | None = None
            signer = self._signer
            try:
                if signer is None:
                    raise Unavailable  # noqa: TRY301 - handled like any other trouble
                found = await self._in_worker(partial(compute, waiting, signer))
            except Exception as error:  # noqa: BLE001 - whatever it is, nobody may be left waiting
                trouble = error
            for name, future in futures.items():
                del self._wanted[name]
                answers = found.get(name)
                if trouble is not None:
                    future.set_exception(trouble)
                    continue
                # Computed before a change that a look has seen meanwhile: true for who asked, not to be kept.
                if (
                    answers is not None
                    and answers.revision >= self._revisions.get(name, 0)
                    and signer is self._signer
                ):
                    self._keep(answers)
                future.set_result(answers)

    def _keep(self, answers: NameAnswers) -> None:
        self._drop(answers.name)
        self.entries[answers.name] = answers
        self._born[answers.name] = monotonic()
        self._bytes += answers.size
        while self._bytes > self.most_bytes and len(self.entries) > 1:
            self._drop(next(iter(self.entries)))

    def grown(self, more: int) -> None:
        """An entry got an answer of so many bytes more."""
        self._bytes += more

    def _drop(self, name: str) -> None:
        entry = self.entries.pop(name, None)
        if entry is not None:
            del self._born[name]
            self._bytes -= entry.size

    def _forget_all(self) -> None:
        self.entries.clear()
        self._born.clear()
        self._revisions = {}
        self._bytes = 0


def _moved(name: str, changed: dict[str, int], known: dict[str, int]) -> bool:
    return changed.get(name, 0) > known.get(name, 0)


def _seen(future: "asyncio.Future[NameAnswers | None]") -> None:
    """Mark an error as noticed, also when everyone who waited for it has gone."""
    if not future.cancelled():
        future.exception()
