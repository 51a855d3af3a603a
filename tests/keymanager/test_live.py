"""What a process's endpoint knows, and writes of who asked: while nobody asks, it lets go of the database."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TypeVar

import pytest
from django.db import connections

from keymanager import live
from keymanager.models import FetchReport
from tests.keymanager.fetchers import fetching_server

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
T = TypeVar("T")


class Late(live.LiveAnswers):
    """One that a server asks in the moment in which it lets go of the database."""

    server = 0
    came = False

    async def _in_worker(self, work: Callable[[], T]) -> T:
        if work == connections.close_all and not self.came:
            self.came = True
            self.last_used = monotonic()
            await self.refresh()
            self.reports.waiting[self.server] = (200, b"none", None, "192.0.2.1", None)
        return await super()._in_worker(work)


def test_who_asks_while_the_watch_ends_is_written_down(monkeypatch) -> None:
    monkeypatch.setattr(live, "IDLE", 0.1)
    server, _token = fetching_server("web1")

    async def asked_twice() -> None:
        late = Late()
        late.server, late.last_used = server.pk, monotonic()
        await late.refresh()
        assert late._watching is not None
        await late._watching
        late._worker.shutdown()

    asyncio.run(asked_twice())
    assert FetchReport.objects.get(server=server).status == 200
