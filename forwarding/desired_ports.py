"""What a Proxmox host should hold so that its ports lead to its guests: nat-vz and its boot links."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, ip_address

from forwarding.configs import FOLDER, configured
from forwarding.models import PortForward
from hosts.state import STAGED, Command, File, Link, State
from servers.models import Server

KIND = "nat"
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}", re.ASCII)
SCRIPT = "/etc/init.d/nat-vz"
LEVELS = (2, 3, 4, 5)
UNDO_SECONDS = 60


@dataclass(frozen=True, order=True)
class Forward:
    """One line of the script: ports of the host that lead to a guest's."""

    protocol: str
    first: int
    last: int
    to: IPv4Address
    to_first: int
    to_last: int
    pk: int

    @property
    def line(self) -> str:
        """As the script reads it: numbers and an address, nothing that anybody typed."""
        ports = _ports(self.first, self.last)
        return (
            f"{self.pk:d} {_protocol(self.protocol)} {ports} {self.to} {_ports(self.to_first, self.to_last)}"
        )


def _ports(first: int, last: int) -> str:
    return f"{first:d}" if first == last else f"{first:d}:{last:d}"


def _protocol(name: str) -> str:
    if name not in {"tcp", "udp"}:
        raise ValueError(f"{name!r} is no protocol that can be forwarded")
    return name


@dataclass(frozen=True)
class Nat:
    """Everything the script on one host depends on.

    `inside` has one known address in each of the guests' networks; the host itself knows how wide those are.
    """

    external: str
    address: IPv4Address | None
    inside: tuple[IPv4Address, ...]
    forwards: tuple[Forward, ...]


def nat_of(host: Server) -> Nat:
    """Read the rows of a Proxmox host; a rule whose guest has no internal IPv4 address leads nowhere."""
    rows = PortForward.objects.filter(host=host, active=True, destination__internal_ip__isnull=False)
    columns = (
        "protocol",
        "first_port",
        "last_port",
        "destination__internal_ip",
        "destination_first",
        "destination_last",
        "pk",
    )
    guests = host.guests.filter(internal_ip__isnull=False).values_list("internal_ip", flat=True)
    forwards = []
    for protocol, first, last, to, to_first, to_last, pk in rows.values_list(*columns):
        if address := _ipv4(to):
            forwards.append(Forward(protocol, first, last, address, to_first, to_last, pk))
    return Nat(
        external=host.external_interface or "vmbr0",
        address=_ipv4(host.external_ip),
        inside=_one_a_network([host.internal_ip, *guests]),
        forwards=tuple(sorted(forwards)),
    )


def _ipv4(text: str | None) -> IPv4Address | None:
    address = ip_address(text) if text else None
    return address if isinstance(address, IPv4Address) else None


def _one_a_network(texts: Iterable[str | None]) -> tuple[IPv4Address, ...]:
    """One address of each /24, so that one more guest in a known network changes nothing on the host."""
    found: dict[int, IPv4Address] = {}
    for address in sorted({address for text in texts if (address := _ipv4(text))}):
        found.setdefault(int(address) >> 8, address)
    return tuple(found.values())


def script(nat: Nat) -> str:
    """The text of nat-vz; ValueError for an interface whose name could be read as anything else."""
    if not _INTERFACE.fullmatch(nat.external):
        raise ValueError(f"{nat.external!r} is no interface's name")
    return configured(
        "nat-vz.j2",
        external=nat.external,
        address=str(nat.address or ""),
        inside=[str(address) for address in nat.inside],
        forwards=[forward.line for forward in nat.forwards],
    )


@cache
def _without() -> tuple[str, ...]:
    """What makes our rules what the file in place says; without a file of ours, there are none."""
    away = (FOLDER / "nat-away.sh").read_text()
    again = f"if grep -qs GESTION- {SCRIPT}; then exec {SCRIPT} restart; fi\n"
    path = "export LC_ALL=C PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin\n"
    return ("sh", "-c", f"{again}{path}{away}\naway")


# systemd makes a unit of a script that it has not seen yet, and knows that it is started: so that its own
# `systemctl status|stop nat-vz` tell the truth and work.
UNIT = "/run/systemd/generator.late/nat-vz.service"
NOTICE = f"""if [ -d /run/systemd/system ]; then
  [ -e {UNIT} ] || systemctl daemon-reload
  systemctl -q is-active nat-vz || systemctl --no-block start nat-vz
fi"""


def desired(host: Server) -> State:
    """What the host should hold of kind "nat"; nothing once it is no Proxmox host any more."""
    back = (Command(_without()),)
    if not host.is_proxmox:
        return State(kind=KIND, items=(), activate=back, can_cut_off=True, undo_seconds=UNDO_SECONDS)
    text = script(nat_of(host))
    links = (Link(f"/etc/rc{level}.d/S01nat-vz", "../init.d/nat-vz") for level in LEVELS)
    return State(
        kind=KIND,
        items=(File(SCRIPT, text.encode(), mode=0o755), *links),
        checks=(Command(("sh", STAGED(SCRIPT), "check")),),
        activate=(Command((SCRIPT, "restart")), Command(("sh", "-c", NOTICE))),
        looks=(Command((SCRIPT, "status")),),
        proofs=(Command((SCRIPT, "status")),),
        put_back=back,
        can_cut_off=True,
        undo_seconds=UNDO_SECONDS,
    )
