"""`python -m gestion.web`: Daphne that ends without losing a request, and tells systemd how it fares.

Daphne drops what it is at work on when it is told to end. Here it first says so at /health/, until the proxy in
front has asked and goes to another instance; then it closes its door, finishes what it has begun, and only then ends.
Takes Daphne's options.
"""

import asyncio
import ctypes
import socket
import struct
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

from gestion.data_folder import keep_private
from jobs.service_manager import tell, watchdog_seconds

HEALTH = "/health/"
ASKED_LATELY = 10.0  # seconds; who has not asked for so long balances nothing
HEALTH_INTERVAL = 1.0  # seconds between two questions of the proxy, as the Caddyfile has it
OTHERS_COME = 1.5 * HEALTH_INTERVAL  # for the proxy to see another instance that has only just come
LEAVING = 3 * HEALTH_INTERVAL  # for the proxy to see that we leave
LONGEST_WAIT = 20.0  # seconds that requests get to end
ON_ITS_WAY = 5.0  # seconds that one gets to arrive; browsers also connect without asking for anything
ATTACH_FILTER = 26  # SO_ATTACH_FILTER of socket(7), which Python's module does not name
# bpf(4): operation, steps to jump if so and if not, operand; the filter of a TCP socket sees the TCP header first.
LOAD_TCP_FLAGS, SKIP_UNLESS_SYN = (0x30, 0, 0, 13), (0x45, 0, 1, 0x02)
DROP, PASS = (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)
HANDSHAKE = 0.3  # seconds for those whose first packet was answered: more than a round trip to the proxy
WAITING = 1000  # more than a door's queue holds: listen(2)'s backlog is 50
Send = Callable[[Any], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Callable[[], Awaitable[Any]], Send], Awaitable[None]]


class Counted:
    """An ASGI application that knows how many answers it still owes; live streams, which never end, aside.

    `silent`: who is connected and has not asked for anything yet, as pairs of address and port. `asked`: when somebody
    last wanted to know how we are (time.monotonic). `leaving`: set, whoever asks that is told 503.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.open = 0
        self.silent: set[tuple[Any, Any]] = set()
        self.asked = float("-inf")
        self.leaving = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        """Pass the request on."""
        counted = scope["type"] == "http"
        self.open += counted
        self.silent.discard(tuple(scope.get("client") or ()))
        health = counted and scope["path"] == HEALTH
        if health:
            self.asked = time.monotonic()

        async def watch(message: Any) -> None:
            nonlocal counted
            if counted and message["type"] == "http.response.start" and _is_stream(message):
                counted = False
                self.open -= 1
            await send(message)

        try:
            await (_say_that_we_leave(send) if health and self.leaving else self.app(scope, receive, watch))
        finally:
            self.open -= counted


async def _say_that_we_leave(send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"ok": false}'})


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
        if not self.doors:  # all of them share the factory
            port.factory.buildProtocol = self._noting_who_comes(port.factory.buildProtocol)
        self.doors.append(port)
        tell("READY=1")
        if seconds := watchdog_seconds():
            LoopingCall(tell, "WATCHDOG=1").start(seconds)

    def _noting_who_comes(self, build: Callable[[Any], Any]) -> Callable[[Any], Any]:
        silent = self.counted.silent

        def note(address: Any) -> Any:
            protocol = build(address)
            peer = (getattr(address, "host", None), getattr(address, "port", None))
            silent.add(peer)
            lost = protocol.connectionLost

            def forget(reason: Any) -> None:
                silent.discard(peer)
                lost(reason)

            protocol.connectionLost = forget
            return protocol

        return note

    def kill_all_applications(self) -> defer.Deferred[Any]:
        """Called once when told to end; the reactor waits for what this returns."""
        tell("STOPPING=1")
        return defer.Deferred.fromFuture(asyncio.ensure_future(self._end(), loop=asyncio.get_event_loop()))

    async def _end(self) -> None:
        await self._send_the_proxy_elsewhere()
        for door in self.doors:
            _turn_newcomers_away(door.socket)
        await asyncio.sleep(HANDSHAKE)
        for door in self.doors:
            door.numberAccepts = WAITING  # else Twisted lets in only about as many as came the last time
            door.doRead()  # who stands before the door already is let in
            door.stopReading()
            door.connectionLost(Failure(ConnectionDone()))
        began = time.monotonic()
        while self._awaits_somebody(time.monotonic() - began):  # noqa: ASYNC110 - an event for each costs more
            await asyncio.sleep(0.05)
        running = [details.get("application_instance") for details in self.connections.values()]
        for task in filter(None, running):
            task.cancel()
        await asyncio.sleep(0.1)  # for the last bytes to leave

    async def _send_the_proxy_elsewhere(self) -> None:
        """Serve on, and say at /health/ that we leave, for as long as the proxy needs to learn it.

        A closed door alone would not do: Caddy up to 2.11.1 cannot send a form to another instance once it has met
        one (its issue 7546), and up to 2.7.4 has a form not wait for an instance when it knows of none (its pull
        request 5841), as when the one before us has just been started anew.
        """
        if time.monotonic() - self.counted.asked > ASKED_LATELY:
            return
        await asyncio.sleep(OTHERS_COME)
        self.counted.leaving = True
        await asyncio.sleep(LEAVING)

    def _awaits_somebody(self, waited: float) -> bool:
        """Whether an answer is owed, or a request is on its way in: on a busy machine that may take seconds."""
        on_its_way = self.counted.silent and waited < ON_ITS_WAY
        return bool(on_its_way or (self.counted.open and waited < LONGEST_WAIT))


def _turn_newcomers_away(door: socket.socket) -> None:
    """Let the kernel take no new connection at this door, and keep those that stand before it or are on their way in.

    Who is there when a door is closed loses the request; and on a busy machine much time passes between letting the
    last one in and closing. A filter that drops what begins a connection (SYN, RFC 9293) has newcomers knock again a
    second later, when the door is closed: the proxy then goes elsewhere. One whose SYN was answered already takes
    itself to be in, and may have sent its form: its packets pass.
    """
    steps = struct.pack("HBBI" * 4, *LOAD_TCP_FLAGS, *SKIP_UNLESS_SYN, *DROP, *PASS)
    program = ctypes.create_string_buffer(steps, len(steps))
    door.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, struct.pack("HP", 4, ctypes.addressof(program)))


class Web(CommandLineInterface):
    """Daphne's command line for this server."""

    server_class = DrainingServer


def main() -> None:
    """Serve the panel."""
    keep_private()
    options = ["--no-server-name", "--verbosity", "1", "--access-log", "/dev/null"]
    Web().run([*options, *sys.argv[1:], "gestion.asgi:application"])


if __name__ == "__main__":
    assert reactor  # noqa: S101 - Daphne has installed asyncio's; it must come before Django
    main()
