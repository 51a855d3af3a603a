"""`make demo`: real hosts, the panel on them, and rows to begin with. Ctrl-C ends it; the next start goes on there."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path

from .addresses import DEFAULT_NETWORKS, panel_address
from .errors import LabError, LabUnavailable
from .fleet import Fleet

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DEMO_DIR") or ROOT / "var" / "demo")
LAB = os.environ.get("DEMO_LAB") or "demo"
PORT = int(os.environ.get("DEMO_PORT") or 8000)


def main() -> int:
    """Start everything, wait for Ctrl-C, and end everything. Returns the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `kill` ends it as Ctrl-C does
    if port_taken(PORT):
        print(f"Port {PORT} is in use. Stop what uses it, or choose another: DEMO_PORT=8001 make demo")
        return 1
    with contextlib.suppress(KeyboardInterrupt):
        try:
            return run()
        except LabError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def run() -> int:
    """The demo until it is ended."""
    network = os.environ.get("DEMO_NETWORK") or DEFAULT_NETWORKS[LAB]
    prepare_django(network)
    from servers.identity import panel_identity

    try:
        say("Starting the hosts (the first time, their base is built: about half a minute) …")
        fleet = Fleet.up(LAB, network, [panel_identity().public_key])
    except LabUnavailable as unavailable:
        say(f"The panel runs without hosts to play with: {unavailable}")
        return serve(["127.0.0.1"])
    try:
        from .demo_fleet import load, pin

        load(fleet, password())
        pin(fleet)
        return serve(["127.0.0.1", fleet.panel_address])
    finally:
        say("Putting the hosts to sleep; `make demo` wakes them as they are …")
        fleet.down(keep=True)


def prepare_django(network: str) -> None:
    """Settings of the demo, and its database brought up to date."""
    from ipaddress import IPv4Network

    DATA.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ.update(
        GESTION_ENV_FILE=os.devnull,
        DATA_DIR=str(DATA),
        DEMO="true",
        GESTION_URL=f"http://{panel_address(IPv4Network(network))}:{PORT}/",
        DJANGO_SETTINGS_MODULE="gestion.settings",
    )
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    os.environ.setdefault("SETUP_FABRIC_ARGUMENTS", "services=nginx")  # so that a new server's domain answers
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def password() -> str:
    """The demo's password for its admin, made on the first start and kept beside the demo's data (0600)."""
    path = DATA / "admin-password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(12) + "\n")
    return path.read_text().strip()


def serve(addresses: list[str]) -> int:
    """The panel itself, until it ends or is ended; says where it is and how to sign in."""
    binds = [word for address in addresses for word in ("--bind", f"{address}:{PORT}")]
    argv = [sys.executable, "manage.py", "panel", *binds]
    panel = subprocess.Popen(argv, cwd=ROOT, start_new_session=True)  # Ctrl-C reaches it through us, once
    try:
        if wait_until_open(panel):
            greet(has_hosts=len(addresses) > 1)
        return panel.wait()
    finally:
        if panel.poll() is None:
            panel.terminate()
        panel.wait(60)


def wait_until_open(panel: "subprocess.Popen[bytes]") -> bool:
    """Whether the panel answers; False when it ended instead."""
    while panel.poll() is None:
        if port_taken(PORT):
            return True
        with contextlib.suppress(subprocess.TimeoutExpired):
            panel.wait(0.2)
    return False


def greet(*, has_hosts: bool) -> None:
    """Say where the demo is."""
    say(f"\n  Gestion's demo is at   http://127.0.0.1:{PORT}/")
    if has_hosts:
        say(f"  Sign in as             admin\n  with the password      {password()}")
        say("  What to try first      docs/first-steps.md")
        say("  A look at the hosts    .venv/bin/python -m lab status")
    say("  End it with            Ctrl-C\n")


def port_taken(port: int) -> bool:
    """Whether something listens on this port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
