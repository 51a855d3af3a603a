"""What a Proxmox host should hold so that its ports lead to its guests: nat-vz and its boot links."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, ip_address

from django.utils.translation import gettext as _

from forwarding.configs import FOLDER, configured
from forwarding.models import PortForward
from forwarding.models.ports import LAST_PORT, ports_text
from hosts.state import STAGED, Command, File, Link, State
from servers.configs import NotWritable
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

    def __post_init__(self) -> None:
        if self.protocol not in {"tcp", "udp"}:
            raise NotWritable(_("%s is no protocol that can be forwarded.") % ascii(self.protocol))
        for first, last in ((self.first, self.last), (self.to_first, self.to_last)):
            if not 1 <= first <= last <= LAST_PORT:
                raise NotWritable(_("%(first)s to %(last)s are no ports.") % {"first": first, "last": last})

    @property
    def line(self) -> str:
        """As the script reads it: numbers and an address, nothing that anybody typed."""
        return f"{self.pk:d} {self.protocol} {self.ports} {self.to} {_ports(self.to_first, self.to_last)}"

    @property
    def ports(self) -> str:
        """The host's own ports, as iptables spells them."""
        return _ports(self.first, self.last)


def _ports(first: int, last: int) -> str:
    return f"{first:d}" if first == last else f"{first:d}:{last:d}"


@dataclass(frozen=True)
class Nat:
    """Everything the script on one host depends on.

    `inside` has one known address in each of the guests' networks; the host itself knows how wide those are.
    `left_out` says which rules the script cannot have, and why.
    """

    external: str
    address: IPv4Address | None
    inside: tuple[IPv4Address, ...]
    forwards: tuple[Forward, ...]
    left_out: tuple[str, ...] = ()


def nat_of(host: Server) -> Nat:
    """Read the rows of a Proxmox host; a rule that cannot be written never keeps the others from the script."""
    rows = PortForward.objects.filter(host=host, active=True).select_related("destination")
    forwards, left_out = [], []
    for row in rows.order_by("pk"):
        try:
            forwards.append(forward_of(row))
        except NotWritable as error:
            words = {
                "protocol": row.protocol,
                "ports": ports_text(row.first_port, row.last_port),
                "why": error,
            }
            left_out.append(_("The port %(protocol)s %(ports)s is closed: %(why)s") % words)
    guests = host.guests.filter(internal_ip__isnull=False).values_list("internal_ip", flat=True)
    return Nat(
        external=card_of(host),
        address=_ipv4(host.external_ip),
        inside=_one_a_network([host.internal_ip, *guests]),
        forwards=tuple(sorted(forwards)),
        left_out=tuple(left_out),
    )


def card_of(host: Server) -> str:
    """The host's card to the outside."""
    return host.external_interface or "vmbr0"


def forward_of(row: PortForward) -> Forward:
    """One row as the script has it; raises NotWritable where it leads nowhere that the script can say."""
    to = _ipv4(row.destination.internal_ip)
    if to is None:
        raise NotWritable(_("it leads to no internal IPv4 address."))
    return Forward(
        protocol=row.protocol,
        first=row.first_port,
        last=row.last_port,
        to=to,
        to_first=row.destination_first,
        to_last=row.destination_last,
        pk=row.pk,
    )


def _ipv4(text: str | None) -> IPv4Address | None:
    try:
        address = ip_address(text) if text else None
    except ValueError:  # no form lets it in, and SQLite does not look
        return None
    return address if isinstance(address, IPv4Address) else None


def _one_a_network(texts: Iterable[str | None]) -> tuple[IPv4Address, ...]:
    """One address of each /24, so that one more guest in a known network changes nothing on the host."""
    found: dict[int, IPv4Address] = {}
    for address in sorted({address for text in texts if (address := _ipv4(text))}):
        found.setdefault(int(address) >> 8, address)
    return tuple(found.values())


def network_of(address: IPv4Address | str) -> IPv4Network:
    """The network that is told for an address inside; the host itself knows how wide it really is."""
    return IPv4Network(f"{address}/24", strict=False)


def does(host: Server) -> Iterator[str]:
    """What the host does for its guests, in words: see servers.registry.RolloutKind."""
    if not host.is_proxmox:
        return
    nat = nat_of(host)
    for address in nat.inside:
        words = {"network": network_of(address), "interface": nat.external}
        yield _("masquerading of %(network)s behind %(interface)s") % words
    for one in nat.forwards:
        to = f"{one.to}:{_ports(one.to_first, one.to_last)}"
        yield _("%(protocol)s %(ports)s to %(to)s") % {
            "protocol": one.protocol.upper(),
            "ports": _ports(one.first, one.last),
            "to": to,
        }


def script(nat: Nat) -> str:
    """The text of nat-vz; NotWritable for an interface whose name could be read as anything else."""
    if not _INTERFACE.fullmatch(nat.external):
        raise NotWritable(_("%s is no name of a network interface.") % ascii(nat.external))
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
    nat = nat_of(host)
    text = script(nat)
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
        left_out=nat.left_out,
    )
