"""Where the actions of this room tell the observation of hosts that something has changed there.

`look_soon(host)` is called after every change that the panel made on a Proxmox host, from a worker or a
transaction, perhaps often: it must be quick, must not raise, and must not ask the API itself. The poller
(or whoever observes hosts) fills `on_change` when Django starts.
"""

from collections.abc import Callable

from servers.models import Server

_listeners: list[Callable[[Server], object]] = []


def on_change(listener: Callable[[Server], object]) -> None:
    """Have `listener(host)` called whenever the panel has changed something on a Proxmox host."""
    if listener not in _listeners:
        _listeners.append(listener)


def look_soon(host: Server) -> None:
    """The guests of this host have changed: look at it as soon as possible."""
    for listener in _listeners:
        listener(host)
