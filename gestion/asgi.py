"""The ASGI application that Daphne serves: the hosts' key endpoint, and Django for everything else."""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

from gestion.environment import end_if_wrong

end_if_wrong()

django = get_asgi_application()

from keymanager.endpoint import KeyEndpoint, is_for_hosts  # noqa: E402 - Django's registry must be ready

keys = KeyEndpoint()
CHARSET = re.compile(rb";?\s*charset[^=;]*=([^;]*)", re.IGNORECASE)
UTF8 = {b"utf-8", b"utf8", b"us-ascii", b"ascii"}


def utf8_only(scope: dict[str, Any]) -> dict[str, Any] | None:
    """The request without the name of its text's encoding; None if that is not UTF-8.

    Django would take any codec of Python's by its name ("zlib", "idna"), read the query with it before any of our
    middleware, and fail.
    """
    headers = []
    for name, value in scope["headers"]:
        if name == b"content-type":
            if any(found.strip(b" \t\"'").lower() not in UTF8 for found in CHARSET.findall(value)):
                return None
            value = CHARSET.sub(b"", value)  # noqa: PLW2901
        headers.append((name, value))
    return {**scope, "headers": headers}


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Hosts' requests for keys are short and many and pass no middleware; the endpoint makes every check
    itself.
    """
    if scope["type"] == "websocket":  # there are none; Django would log each as a fault
        await receive()
        await send({"type": "websocket.close"})
    elif is_for_hosts(scope):
        await keys(scope, receive, send)
    elif text := utf8_only(scope):
        await django(text, receive, send)
    else:
        await send(
            {"type": "http.response.start", "status": 400, "headers": [(b"content-type", b"text/plain")]}
        )
        await send({"type": "http.response.body", "body": b"Send text as UTF-8.\n"})
