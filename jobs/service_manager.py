"""Tells systemd how a process fares, where systemd asked for it (`Type=notify`, `WatchdogSec=`)."""

import os
import socket
from contextlib import suppress


def tell(state: str) -> None:
    """Send `READY=1`, `WATCHDOG=1` or `STOPPING=1` (sd_notify(3)); does nothing under no or another manager."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(state.encode(), address)


def watchdog_seconds() -> float:
    """How often `WATCHDOG=1` is due, with room to spare; 0 where systemd does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 / 3 if microseconds.isdigit() else 0.0
