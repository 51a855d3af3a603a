"""What makes a host what it is: its key, its name, what its role starts. Written before its first start."""

from ipaddress import IPv4Network
from pathlib import Path

from .addresses import INSIDE, machine_id, panel_address
from .container import PROXMOX, Container
from .errors import LabError
from .record import HostRecord
from .system import run

SERVICES: dict[str, tuple[str, ...]] = {
    "plain": ("nginx",),
    "nginx": ("nginx",),
    "backup": (),
    "samba": ("smbd",),
    PROXMOX: (),
}
"""The roles, and what each starts beside sshd and cron."""

ADMIN_NAT = "/usr/local/sbin/admin-nat"
ADMIN_NAT_UNIT = f"""[Unit]
Description=The administrator's own forwardings, older than any panel
Before=ssh.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={ADMIN_NAT}

[Install]
WantedBy=multi-user.target
"""


def check_role(role: str) -> str:
    """Return `role` if there is such a role. Raises LabError."""
    if role not in SERVICES:
        raise LabError(f"“{role}” is no role; the roles are {', '.join(SERVICES)}.")
    return role


def furnish(container: Container) -> None:
    """Write the host's own files over the base. Only while it has never run."""
    lab, host = container.lab, container.host
    put = Writer(Path(lab.base), container.upper).put
    put("etc/hostname", f"{host.name}\n")
    put("etc/machine-id", machine_id(lab.name, host.name, lab.salt) + "\n", 0o444)
    panel = panel_address(IPv4Network(lab.network))
    put("etc/hosts", f"127.0.0.1\tlocalhost\n127.0.1.1\t{host.name}\n::1\tlocalhost\n{panel}\tpanel\n")
    make_host_key(container)
    if lab.authorized_keys:
        put("root/.ssh/authorized_keys", "".join(f"{key}\n" for key in lab.authorized_keys), 0o600)
        (container.upper / "root/.ssh").chmod(0o700)
    put("var/www/html/index.html", f"<!doctype html><title>{host.name}</title>\n<p>This is {host.name}.\n")
    for service in SERVICES[host.role]:
        _enable(container.upper, f"/lib/systemd/system/{service}.service")
    if host.role == PROXMOX:
        write_admin_nat(container)
        put("etc/systemd/system/admin-nat.service", ADMIN_NAT_UNIT)
        _enable(container.upper, "/etc/systemd/system/admin-nat.service")
        put("etc/sysctl.d/80-forward.conf", "net.ipv4.ip_forward = 1\n")


def write_admin_nat(container: Container) -> None:
    """Write a Proxmox host's own rules for all containers behind it. Only while it has never run."""
    behind = [host for host in container.lab.hosts if host.behind == container.host.name]
    rules = [masquerade_rule(), *(forward_rule(host) for host in behind)]
    lines = ["#!/bin/sh", "set -e", *("iptables -w -t nat -A " + " ".join(rule) for rule in rules)]
    Writer(Path(container.lab.base), container.upper).put(ADMIN_NAT[1:], "\n".join(lines) + "\n", 0o755)


def masquerade_rule() -> list[str]:
    """Return the rule that lets containers out through their Proxmox host's address."""
    inside = str(INSIDE.network)
    return ["POSTROUTING", "-s", inside, "!", "-d", inside, "-j", "MASQUERADE"]


def forward_rule(host: HostRecord) -> list[str]:
    """Return the rule that forwards a port of the Proxmox host to a container's sshd."""
    to = ["-j", "DNAT", "--to-destination", f"{host.address}:22"]
    return ["PREROUTING", "!", "-i", "vmbr0", "-p", "tcp", "--dport", str(host.ssh_port), *to]


def make_host_key(container: Container) -> None:
    """Make the host's own SSH key. Only while it has never run."""
    folder = container.upper / "etc/ssh"
    Writer(Path(container.lab.base), container.upper).folder(Path("etc/ssh"))
    key = folder / "ssh_host_ed25519_key"
    argv = [
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        f"root@{container.host.name}",
        "-f",
        str(key),
    ]
    run(argv)


def _enable(upper: Path, unit: str) -> None:
    wants = upper / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / Path(unit).name).symlink_to(unit)


class Writer:
    """Writes into the layer over the base, where a new folder hides the base's mode and must repeat it."""

    def __init__(self, base: Path, upper: Path) -> None:
        self.base = base
        self.upper = upper

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of root's."""
        self.folder(Path(path).parent)
        (self.upper / path).write_text(text)
        (self.upper / path).chmod(mode)

    def folder(self, path: Path) -> None:
        """Make a folder and those above it, as the base has them."""
        for part in reversed([path, *path.parents]):
            target = self.upper / part
            if not target.exists():
                target.mkdir()
            original = self.base / part
            target.chmod(original.stat().st_mode & 0o7777 if original.is_dir() else 0o755)
