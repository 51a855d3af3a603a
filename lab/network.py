"""The lab's place in this machine's network: its bridge, its firewall rules, and the guard around both."""

import json
import shlex
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from .addresses import GUARDED, bridge_name, panel_address, veth_name
from .errors import LabError, LabUnavailable
from .system import require_root, run

# Worse than any other route, so that a lab's bridge always wins while it is up.
GUARD_METRIC = "4294967295"


def guard() -> None:
    """Keep every packet for the labs' network on this machine while no lab is up; harmless to repeat.

    Raises LabUnavailable without root, unless the guard is there already.
    """
    if missing := _unguarded():
        require_root()
        for network in missing:
            run(["ip", "route", "replace", "unreachable", str(network), "metric", GUARD_METRIC])


def unguard() -> None:
    """Take the guard away again, for good."""
    for network in GUARDED:
        if network not in _unguarded():
            run(["ip", "route", "del", "unreachable", str(network), "metric", GUARD_METRIC])


def _unguarded() -> list[IPv4Network]:
    routes = json.loads(run(["ip", "-json", "route", "show", "type", "unreachable"]).stdout or "[]")
    present = {route["dst"] for route in routes if str(route.get("metric")) == GUARD_METRIC}
    return [network for network in GUARDED if str(network) not in present]


def interfaces() -> list[tuple[str, IPv4Interface]]:
    """Return this machine's interfaces with each of their IPv4 addresses."""
    links = json.loads(run(["ip", "-4", "-json", "addr"]).stdout or "[]")
    return [
        (link["ifname"], IPv4Interface(f"{info['local']}/{info['prefixlen']}"))
        for link in links
        if "ifname" in link
        for info in link["addr_info"]
    ]


def make_bridge(lab: str, network: IPv4Network) -> None:
    """Make the bridge with the panel's address; let its hosts talk to each other and this machine alone.

    Harmless to repeat. Raises LabUnavailable where the kernel does not allow it.
    """
    bridge = bridge_name(lab)
    if not Path("/sys/class/net", bridge).exists():
        made = run(["ip", "link", "add", bridge, "type", "bridge"], check=False)
        if made.returncode:
            raise LabUnavailable(
                f"This machine does not let us make a bridge ({made.stderr.strip()}). The lab needs the "
                "kernel's bridge and veth modules, and in a container a privileged one."
            )
    run(["ip", "addr", "replace", f"{panel_address(network)}/{network.prefixlen}", "dev", bridge])
    run(["ip", "link", "set", bridge, "up"])
    for rule in _rules(lab):
        if run(["iptables", "-w", "-C", *rule], check=False).returncode:
            run(["iptables", "-w", "-I", *rule])


def remove_bridge(lab: str, hosts: Iterable[str] = ()) -> None:
    """Remove the lab's bridge, its hosts' cables, and its firewall rules; harmless to repeat."""
    bridge = bridge_name(lab)
    for rule in run(["iptables", "-w", "-S"]).stdout.splitlines():
        words = shlex.split(rule)
        if words[0] == "-A" and mark(lab) in words:
            run(["iptables", "-w", "-D", *words[1:]])
    # LXC that was killed in between has made a cable and not plugged it in.
    cables = {veth_name(lab, host) for host in hosts}
    for name in {*cables, *(port.name for port in Path("/sys/class/net", bridge).glob("brif/*"))}:
        if Path("/sys/class/net", name).exists():
            run(["ip", "link", "del", name], check=False)
    if Path("/sys/class/net", bridge).exists():
        run(["ip", "link", "del", bridge])


def require_free(network: IPv4Network, lab: str) -> None:
    """Raise LabError if another interface of this machine has an address that overlaps with `network`."""
    for name, address in interfaces():
        if name != bridge_name(lab) and address.network.overlaps(network):
            raise LabError(
                f"This machine already has {address} on {name}, which overlaps with {network}. "
                f"Take another network for the lab “{lab}” (--network), or take that one down."
            )


def mark(lab: str) -> str:
    """Return the comment of the lab's firewall rules."""
    return f"gestion-lab {lab}"


def _rules(lab: str) -> list[list[str]]:
    bridge = bridge_name(lab)
    marked = ["-m", "comment", "--comment", mark(lab)]
    # Each is inserted first, so the last of these is asked first. Docker sets FORWARD to DROP, and bridged
    # packets pass there too; a desktop's firewall may close INPUT. Anything else a host sends must end here.
    return [
        ["FORWARD", "-i", bridge, *marked, "-j", "REJECT"],
        ["FORWARD", "-i", bridge, "-o", bridge, *marked, "-j", "ACCEPT"],
        ["INPUT", "-i", bridge, *marked, "-j", "ACCEPT"],
    ]
