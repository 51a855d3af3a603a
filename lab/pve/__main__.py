"""The API's command line: python -m lab.pve serve --simulated --world FILE --port N | access --lab NAME."""

import argparse
import contextlib
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.errors import LabError, LabUnavailable

from .certificate import ready_certificate
from .cluster import Cluster
from .faults import Faults, from_json
from .server import PveServer
from .world import World


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code: 0, 1 (failed) or 3 (no lab on this machine)."""
    options = _parser().parse_args(arguments)
    try:
        options.act(options)
    except LabUnavailable as error:
        print(f"lab.pve: {error}", file=sys.stderr)
        return 3
    except (LabError, OSError) as error:
        print(f"lab.pve: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lab.pve", description="A Proxmox API for the lab.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="answer until Ctrl-C")
    serve.add_argument("--simulated", action="store_true", help="with simulated containers (no root needed)")
    serve.add_argument("--world", type=Path, metavar="FILE", help="the world file (a small example without)")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument(
        "--port", type=int, default=8006, help="of the first node; each further node's is one more"
    )
    serve.add_argument(
        "--certificate", type=Path, metavar="FILE", help="keep certificate and key in this file"
    )
    serve.add_argument(
        "--lab", metavar="NAME", help="answer for this lab's Proxmox hosts, with its containers"
    )
    serve.set_defaults(act=_serve)

    access = commands.add_parser("access", help="how to get in to the API of a lab's Proxmox hosts")
    access.add_argument("--lab", default="demo", metavar="NAME")
    access.set_defaults(act=_access)
    return parser


def _serve(options: argparse.Namespace) -> None:
    if options.lab:
        from .real.service import serve

        serve(options.lab)
        return
    if not options.simulated:
        raise LabError("Say --simulated, or --lab NAME for the containers of a lab that is up.")
    world, faults = World.example(), Faults()
    if options.world:
        world = World.load(options.world)
        for item in json.loads(options.world.read_text()).get("faults", []):
            faults.add(from_json(item))
    cluster = Cluster(world, faults=faults)
    with contextlib.ExitStack() as stack:
        for number, node in enumerate(node for node in world.nodes.values() if not node.refuses):
            certificate = None
            if options.certificate:
                certificate = ready_certificate(
                    options.certificate, [options.host, "localhost", *world.nodes]
                )
            server = PveServer(
                cluster=cluster,
                node=node.name,
                host=options.host,
                port=options.port + number,
                certificate=certificate,
            )
            stack.enter_context(server)
            print(f"{node.name} {server.url} {server.fingerprint} {server.certificate_file}", flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        signal.pause()


def _access(options: argparse.Namespace) -> None:
    from lab.fleet import Fleet

    from .real.api import LabApi

    fleet = Fleet.find(options.lab)
    if not fleet:
        raise LabError(f"There is no lab “{options.lab}”. Bring it up: python -m lab up --lab {options.lab}")
    nodes = [host.name for host in fleet if host.role == "proxmox"]
    for name in nodes:
        api = LabApi.of(fleet, name)
        print(f"{name} {api.url} {api.fingerprint} {api.certificate_file}")
    for name in nodes[:1]:
        api = LabApi.of(fleet, name)
        print("token {}={}".format(*api.token))
        print(f"root@pam {api.root_password}")


if __name__ == "__main__":
    sys.exit(main())
