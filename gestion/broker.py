"""The embedded broker: kombu's file system transport, made safe for several processes and cheap while idle.

Kombu writes a message under its final name, so that another process can take half of one; it moves a taken
message to the system's temporary folder, which may be another file system; and it lists the folder for every
look. Here a message appears and disappears by rename, and a folder that has not changed is not listed again.
"""

import os
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.encoding import bytes_to_str, str_to_bytes
from kombu.utils.json import dumps, loads

SETTLED = 0.05  # seconds after which a folder's time of change tells for sure that nothing came since
LIST_ANYWAY = 5.0  # seconds


class Channel(filesystem.Channel):
    """Messages as files `<time>_<random>.<queue>.msg` in one folder."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._empty_since: dict[str, tuple[int, float]] = {}  # queue: the folder's mtime, our clock

    def _put(self, queue: str, payload: Any, **_kwargs: Any) -> None:  # type: ignore[override]
        name = f"{time.time_ns():020d}_{uuid.uuid4().hex}.{queue}.msg"
        folder = Path(self.data_folder_out)
        hidden = folder / f".{name}"
        hidden.write_bytes(str_to_bytes(dumps(payload)))
        hidden.rename(folder / name)

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        """The queues of a message: the one it names. No table of bindings that could get lost."""
        return [routing_key]

    def _queue_bind(self, *_names: str | None) -> None:
        """Nothing to keep."""

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = Path(self.data_folder_in)
        changed = folder.stat().st_mtime_ns
        known = self._empty_since.get(queue)
        if known and known[0] == changed and time.monotonic() - known[1] < LIST_ANYWAY:
            raise Empty
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - names are all we need
            if not name.startswith(".") and name.partition(".")[2] == f"{queue}.msg":
                payload = _take(folder, name)
                if payload is not None:
                    return payload
        if time.time_ns() - changed > SETTLED * 1e9:
            self._empty_since[queue] = (changed, time.monotonic())
        raise Empty


def _take(folder: Path, name: str) -> Any:
    """The message's content, ours alone; None if another process was faster or the file is no message."""
    taken = folder / f".{name}.{uuid.uuid4().hex}"
    try:
        (folder / name).rename(taken)
        content = taken.read_bytes()
        taken.unlink()
        return loads(bytes_to_str(content))
    except (OSError, ValueError):
        return None


class Transport(filesystem.Transport):
    """The transport of `embedded://`."""

    Channel = Channel
