"""One Fabric script on one server, in a process of its own: what it prints and breaks, it prints and breaks here.

`python -m fabrun.child` reads an order as JSON from standard input (`_order` in fabrun/running.py makes it); secrets
come that way and no other. With `--list SECONDS FILE…` it prints what scripts each file holds as JSON instead.
"""

import builtins
import getpass
import json
import resource
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn

from fabric import Connection
from invoke.exceptions import CommandTimedOut, Exit, UnexpectedExit
from invoke.runners import Result

from fabrun import loading
from fabrun.talking import UnaskedLocal, UnaskedRemote
from hosts import apart, connecting
from hosts.address import Address
from hosts.errors import HostError
from hosts.ssh import SSHHost, tunnel
from hosts.target import Target

MEMORY_BYTES = 1024**3  # for a script's process: what its host prints fills no more of this machine
FAILED = 1
NOT_REACHED = 3


def main() -> int:
    """Do what the order says; the exit code is 0 if the script ended well."""
    if sys.argv[1:2] == ["--list"]:
        paths = [Path(path) for path in sys.argv[3:]]
        sys.stdout.write(json.dumps(apart.read_apart(paths, loading.describe, float(sys.argv[2]))))
        return 0
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    order = json.load(sys.stdin)
    builtins.input = getpass.getpass = _unanswered
    try:
        task = loading.find(Path(order["folder"]), order["script"])
    except Exception:  # noqa: BLE001  # whatever somebody's file raises is told to whoever runs it
        words = loading.to_change(Path(order["folder"]) / f"{order['script'].partition('.')[0]}.py")
        return _told(words or traceback.format_exc(limit=-3), FAILED)
    with ExitStack() as opened:
        try:
            connection = _connect(order, opened)
        except HostError as error:
            return _told(str(error), NOT_REACHED)
        return _run(task, connection, order["arguments"])


def _unanswered(prompt: object = "", *_stream: object, **_named: object) -> NoReturn:
    """In the place of input() and getpass(), which say of a closed standard input only that it is at its end."""
    raise EOFError(
        f"It asked “{str(prompt).strip()}”, and nobody answers: make that an argument of the task."
    )


def _run(task: Any, connection: Connection, arguments: dict[str, Any]) -> int:
    try:
        task.body(connection, **loading.as_defaults(task, arguments))
    except Exit as end:
        return _told(str(end.message or ""), _code(end.code))
    except SystemExit as end:
        return _told(end.code, FAILED) if isinstance(end.code, str) else _code(end.code)
    except UnexpectedExit as error:
        _show_hidden(error.result)
        return _told(f"The command ended with {error.result.exited}: {error.result.command}", FAILED)
    except CommandTimedOut as error:
        _show_hidden(error.result)
        return _told(f"The command took longer than {error.timeout} seconds: {error.result.command}", FAILED)
    except Exception as error:  # noqa: BLE001  # as above
        return _told(f"{traceback.format_exc()}{_first_line(error)}", FAILED)
    return 0


def _show_hidden(result: Result) -> None:
    """The end of what a failed command printed while the script kept it from the log: it says why, or what it asked."""
    for name, stream in (("stdout", sys.stdout), ("stderr", sys.stderr)):
        if name in result.hide and (words := result.tail(name).strip("\n")):
            stream.write(f"{words}\n")


def _code(wanted: int | None) -> int:
    """The code as a process can end with it; one that is a multiple of 256, as os.system() returns, is no success."""
    return (wanted or 0) % 256 or (FAILED if wanted else 0)


def _first_line(error: Exception) -> str:
    """What it begins with, where it says more than a line: the last line is what is shown as the reason."""
    first, *more = str(error).strip().splitlines() or [""]
    return f"{type(error).__name__}: {first}" if more else ""


def _told(words: str, code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{words.rstrip()}\n")
    sys.stderr.flush()
    return code


def _connect(order: dict[str, Any], opened: ExitStack) -> Connection:
    """Connect with pinned host keys; by key, or where the server does not know ours yet, by its first password."""
    target = _target(order["target"])
    through = None
    if target.gateway:
        gateway = SSHHost(target.gateway)
        opened.callback(gateway.close)
        through = tunnel(gateway, target.address, target.connect_timeout)
    connection = connecting.open_connection(target, order["server"], through)
    opened.callback(connection.close)
    connecting.allowance_of(connection).renew(None, None)  # memory and time are this process's
    connection.config.update(order["values"])
    connection.config.run.in_stream = False  # the order came on standard input; there is nobody to type
    connection.config.runners.remote = UnaskedRemote
    connection.config.runners.local = UnaskedLocal
    return connection


def _target(data: dict[str, Any]) -> Target:
    return Target(
        address=Address(**data["address"]),
        known_keys=tuple(data["known_keys"]),
        private_key=data["private_key"],
        gateway=_target(data["gateway"]) if data["gateway"] else None,
        password=data["password"],
        connect_timeout=data["connect_timeout"],
    )


if __name__ == "__main__":
    sys.exit(main())
