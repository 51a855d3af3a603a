"""The ASGI application that Daphne serves: the hosts' key endpoint, and Django for everything else."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")

django = get_asgi_application()

from keymanager.endpoint import KeyEndpoint, is_for_hosts  # noqa: E402 - Django's registry must be ready

keys = KeyEndpoint()


async def application(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[Any], Awaitable[None]],
) -> None:
    """Hosts' requests for keys are short and many and pass no middleware; the endpoint makes every check
    itself.
    """
    if is_for_hosts(scope):
        await keys(scope, receive, send)
    else:
        await django(scope, receive, send)
