"""What bench/keys.py has Daphne serve: the panel, and beside it a bare application and a bare Django view."""

import os
from typing import Any

os.environ["DJANGO_SETTINGS_MODULE"] = "bench.keys_settings"

from gestion.asgi import application as panel
from gestion.asgi import django, keys

HELLO = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Content-Length", b"6")]
START = {"type": "http.response.start", "status": 200, "headers": HELLO}
_bodies: dict[str, dict[str, object]] = {}
BODY = {"type": "http.response.body", "body": b"hello\n"}


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Route by the first part of the path."""
    path = scope.get("path", "")
    if path == "/bare/":
        await send(START)
        await send(BODY)
    elif path == "/same/":  # the bytes and headers of one real answer
        name = scope["query_string"].decode()
        entry = keys.live.entries.get(name) or await keys.live.answers(name)
        if entry is None:
            raise LookupError(name)
        answer = entry.server
        await send(answer.status_200)
        if name not in _bodies:
            _bodies[name] = {"type": "http.response.body", "body": b"".join(answer.parts)}
        await send(_bodies[name])
    elif path == "/django/":
        await django(scope, receive, send)
    elif path == "/counted/":
        await _say(send, str(counted()))
    else:
        await panel(scope, receive, send)


async def _say(send: Any, text: str) -> None:
    headers = [(b"Content-Length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


from bench.keys_settings import counted  # noqa: E402 - after Django's set-up
