"""The lab's command line: python -m lab up|status|run NAME -- command|stop|start|reboot NAME|guard|down."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .container import PROXMOX
from .errors import LabError, LabUnavailable
from .fleet import Fleet, take_down
from .network import guard, unguard
from .record import all_names

UNAVAILABLE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code: 0, 1 (failed) or 3 (no lab on this machine)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    end = words.index("--") if "--" in words else len(words)
    # What follows "--" is another program's, and may look like options of ours.
    options = _parser().parse_args(words[:end], argparse.Namespace(command=words[end + 1 :]))
    try:
        return int(options.act(options) or 0)
    except LabUnavailable as error:
        print(f"lab: {error}", file=sys.stderr)
        return UNAVAILABLE
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nlab: interrupted. To clear up: python -m lab down --lab {options.lab}", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    given = os.environ.get("DEMO_LAB") or "demo"
    common.add_argument("--lab", default=given, metavar="NAME", help=f"which lab ({given})")
    parser = argparse.ArgumentParser(
        prog="python -m lab", description="A real fleet of hosts on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", parents=[common], help="bring the lab up, or complete it")
    up.add_argument(
        "--network", metavar="CIDR", help="its network (198.51.100.0/26 for demo, 198.51.100.128/26 for test)"
    )
    up.add_argument("--authorized-key", type=Path, action="append", default=[], metavar="FILE", dest="keys")
    up.add_argument("--fresh", action="store_true", help="first clear whatever an earlier run left")
    up.set_defaults(act=_up)

    status = commands.add_parser("status", parents=[common], help="what there is, and how to log in")
    status.add_argument("--json", action="store_true")
    status.set_defaults(act=_status)

    into = commands.add_parser(
        "run", parents=[common], help="NAME -- COMMAND …: run it on a host; a shell without"
    )
    into.add_argument("host")
    into.set_defaults(act=_run)

    for word in ("stop", "start", "reboot"):
        switch = commands.add_parser(word, parents=[common], help=f"{word} a host")
        switch.add_argument("host")
        switch.set_defaults(act=_switch, word=word)

    fence = commands.add_parser(
        "guard", parents=[common], help="keep packets for the labs' networks on this machine"
    )
    fence.set_defaults(act=lambda options: guard())

    down = commands.add_parser("down", parents=[common], help="take the lab down and leave nothing behind")
    down.add_argument("--keep", action="store_true", help="keep the hosts' disks and keys for the next up")
    down.add_argument("--no-guard", action="store_true", help="also remove the guard route")
    down.set_defaults(act=_down)
    return parser


def _up(options: argparse.Namespace) -> None:
    try:
        keys = [line for path in options.keys for line in path.read_text().splitlines() if line.strip()]
    except OSError as error:
        raise LabError(f"The key file cannot be read: {error}") from error
    fleet = Fleet.up(options.lab, options.network, keys, fresh=options.fresh)
    _print(fleet)


def _status(options: argparse.Namespace) -> int:
    fleet = Fleet.find(options.lab)
    if options.json:
        print(json.dumps(_describe(fleet) if fleet else None, indent=1))
    elif fleet:
        _print(fleet)
    else:
        others = ", ".join(all_names()) or "none"
        print(
            f"There is no lab “{options.lab}”. Labs on this machine: {others}. Bring one up: python -m lab up"
        )
    return 0 if fleet else 1


def _run(options: argparse.Namespace) -> int:
    argv = _fleet(options)[options.host].shell(options.command)
    sys.stdout.flush()
    os.execvp(argv[0], argv)  # noqa: S606 (the person's own terminal, keys and signals, for the whole session)


def _switch(options: argparse.Namespace) -> None:
    host = _fleet(options)[options.host]
    {"stop": host.stop, "start": host.start, "reboot": host.reboot}[options.word]()


def _down(options: argparse.Namespace) -> None:
    take_down(options.lab, keep=options.keep)
    if options.no_guard:
        if others := all_names():
            raise LabError(f"The guard stays while there are other labs: {', '.join(others)}.")
        unguard()


def _fleet(options: argparse.Namespace) -> Fleet:
    fleet = Fleet.find(options.lab)
    if not fleet:
        raise LabError(f"There is no lab “{options.lab}”. Bring it up: python -m lab up --lab {options.lab}")
    return fleet


def _describe(fleet: Fleet) -> dict[str, Any]:
    hosts = [
        {
            "name": host.name,
            "role": host.role,
            "address": host.address,
            "behind": host.behind,
            "connection": host.connection,
            "host_key": host.host_key,
            "running": host.running,
            "memory": host.memory(),
        }
        for host in fleet
    ]
    return {"lab": fleet.name, "network": fleet.network, "panel_address": fleet.panel_address, "hosts": hosts}


def _print(fleet: Fleet) -> None:
    print(f"Lab {fleet.name}, {fleet.network}; the panel's address is {fleet.panel_address}")
    for host in fleet:
        state = "up  " if host.running else "down"
        print(
            f"  {state}  {host.name:<10} {host.role:<8} {host.memory() >> 20:>4} MiB  ssh {host.connection}"
        )
    for host in fleet:
        if host.role == PROXMOX and host.running:
            print(f"  Proxmox API of {host.name}: https://{host.address}:8006")
    print(f"  How to get in there: python -m lab.pve access --lab {fleet.name}")


if __name__ == "__main__":
    sys.exit(main())
