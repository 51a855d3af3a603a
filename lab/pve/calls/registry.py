"""Which function answers which call."""

from collections.abc import Callable
from typing import Any

from lab.pve.cluster import Request

Handler = Callable[[Request], Any]
CALLS: dict[str, Handler] = {}


def answers(*calls: str) -> Callable[[Handler], Handler]:
    """Register a function for calls such as "GET /version"."""

    def register(handler: Handler) -> Handler:
        for call in calls:
            CALLS[call] = handler
        return handler

    return register
