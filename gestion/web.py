"""`python -m gestion.web`: Daphne that ends without losing a request, and tells systemd how it fares.

Daphne drops what it is at work on when it is told to end. Here it first closes its door, so that the proxy in
front goes to another instance, then finishes what it has begun, and only then ends. Takes Daphne's options.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from daphne.cli import CommandLineInterface
from daphne.server import Server
from twisted.internet import defer, reactor
from twisted.internet.error import ConnectionDone
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from jobs.service_manager import tell, watchdog_seconds

LONGEST_WAIT = 20.0  # seconds that requests get to end
UNDER_WAY = 1.0  # seconds in which a request that is on its way in arrives whole, also on a busy machine
WAITING = 1000  # more than a door's queue holds: listen(2)'s backlog is 50
Send = Callable[[Any], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Send], Awaitable[None]]


class Counted:
    """An ASGI application that knows how many answers it still owes; live streams, which never end, aside."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.open = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        """Pass the request on."""
        counted = scope["type"] == "http"
        self.open += counted

        async def watch(message: Any) -> None:
            nonlocal counted
            if counted and message["type"] == "http.response.start" and _is_stream(message):
                counted = False
                self.open -= 1
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            self.open -= counted


def _is_stream(start: Any) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start.get("headers", ())
    )


class DrainingServer(Server):
    """Daphne's server with an orderly end."""

    def __init__(self, application: App, **options: Any) -> None:
        self.counted = Counted(application)
        self.doors: list[Any] = []
        super().__init__(application=self.counted, **options)

    def listen_success(self, port: Any) -> None:
        """The door is open: from now on requests are served."""
        super().listen_success(port)
        self.doors.append(port)
        tell("READY=1")
        if seconds := watchdog_seconds():
            LoopingCall(tell, "WATCHDOG=1").start(seconds)

    def kill_all_applications(self) -> defer.Deferred[Any]:
        """Called once when told to end; the reactor waits for what this returns."""
        tell("STOPPING=1")
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._end(), loop=asyncio.get_event_loop()))

    async def _end(self) -> None:
        for door in self.doors:
            door.numberAccepts = WAITING  # else Twisted lets in only about as many as came the last time
            door.doRead()  # who stands before the door already is let in
            door.stopReading()
            door.connectionLost(Failure(ConnectionDone()))  # at once: who came meanwhile would be lost
        await asyncio.sleep(UNDER_WAY)
        until = time.monotonic() + LONGEST_WAIT
        while self.counted.open and time.monotonic() < until:  # noqa: ASYNC110 - an event for each request costs more
            await asyncio.sleep(0.05)
        running = [details.get("application_instance") for details in self.connections.values()]
        for task in filter(None, running):
            task.cancel()
        await asyncio.sleep(0.1)  # for the last bytes to leave


class Web(CommandLineInterface):
    """Daphne's command line for this server."""

    server_class = DrainingServer


def main() -> None:
    """Serve the panel."""
    options = ["--no-server-name", "--verbosity", "1", "--access-log", "/dev/null"]
    Web().run([*options, *sys.argv[1:], "gestion.asgi:application"])


if __name__ == "__main__":
    assert reactor  # noqa: S101 - Daphne has installed asyncio's; it must come before Django
    main()
