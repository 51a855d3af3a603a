"""The named formats of Proxmox's parameters: functions that raise ValueError with Proxmox's own words."""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path

Check = Callable[[str], None]
ZONES = Path("/usr/share/zoneinfo/zone.tab")


def looks_like(pattern: str, what: str) -> Check:
    """Return a check against a whole-string pattern; `what` completes "… does not look like a valid …"."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise ValueError(f"value does not look like a valid {what}\n")

    return check


def says(pattern: str, words: str) -> Check:
    """Return a check against a whole-string pattern with words of its own; `{}` in them is the value."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: str) -> None:
        if not compiled.fullmatch(value):
            raise ValueError(words.format(value) + "\n")

    return check


def check_ip(value: str) -> None:
    """An IPv4 or IPv6 address; a link-local one may name its interface."""
    try:
        try:
            IPv4Address(value)
        except AddressValueError:
            IPv6Address(value)
    except AddressValueError as error:
        raise ValueError("value does not look like a valid IP address\n") from error


def check_ipv4(value: str) -> None:
    """An IPv4 address."""
    try:
        IPv4Address(value)
    except AddressValueError as error:
        raise ValueError("value does not look like a valid ipv4 address\n") from error


def check_ipv6(value: str) -> None:
    """An IPv6 address."""
    try:
        IPv6Address(value)
    except AddressValueError as error:
        raise ValueError("value does not look like a valid ipv6 address\n") from error


def check_ipv4_config(value: str) -> None:
    """An IPv4 address with its prefix length, dhcp or manual."""
    try:
        if value not in ("dhcp", "manual"):
            IPv4Interface(value if "/" in value else "")
    except ValueError as error:
        raise ValueError("value does not look like a valid ipv4 network configuration\n") from error


def check_ipv6_config(value: str) -> None:
    """An IPv6 address with its prefix length, auto, dhcp or manual."""
    try:
        if value not in ("auto", "dhcp", "manual"):
            IPv6Interface(value if "/" in value else "")
    except ValueError as error:
        raise ValueError("value does not look like a valid ipv6 network configuration\n") from error


def check_mac(value: str) -> None:
    """A unicast MAC address."""
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", value) or int(value[:2], 16) & 1:
        raise ValueError("value does not look like a valid unicast MAC address\n")


def check_volume(value: str) -> None:
    """A storage's name, a colon, and the volume there."""
    if not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]:\S+", value):
        raise ValueError(f"unable to parse volume ID '{value}'\n")


def check_timezone(value: str) -> None:
    """A time zone as the system's own list has it; where there is none, whatever looks like one."""
    zones = {"host", "UTC"}
    if ZONES.is_file():
        rows = [line.split("\t") for line in ZONES.read_text().splitlines() if not line.startswith("#")]
        zones |= {row[2] for row in rows}
    elif re.fullmatch(r"[A-Za-z0-9_+/-]+", value):
        return
    if value not in zones:
        raise ValueError(f"invalid time zone '{value}'\n")


LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
CHECKS: dict[str, Check] = {
    "pve-vmid": looks_like(r"[1-9][0-9]{2,8}", "VM ID"),
    "pve-node": looks_like(LABEL, "node name"),
    "dns-name": looks_like(rf"{LABEL}(\.{LABEL})*", "DNS name"),
    "pve-configid": says(r"[a-zA-Z][a-zA-Z0-9_-]+", "invalid configuration ID '{}'"),
    "pve-storage-id": says(
        r"[a-zA-Z][a-zA-Z0-9._-]*[a-zA-Z0-9]", "storage ID '{}' contains illegal characters"
    ),
    "pve-poolid": says(
        r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+){0,2}", "value '{}' does not look like a pool name"
    ),
    "pve-tag": says(r"[a-zA-Z0-9_][a-zA-Z0-9_+.-]*", "invalid characters in tag"),
    "pve-userid": says(
        r"[^\s:/]+@[A-Za-z][A-Za-z0-9._-]+", "value '{}' does not look like a valid user name"
    ),
    "pve-tokenid": says(
        r"[^\s:/]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+",
        "value '{}' does not look like a valid token ID",
    ),
    "pve-roleid": says(r"[A-Za-z0-9._-]+", "value '{}' does not look like a valid role name"),
    "pve-realm": says(r"[A-Za-z][A-Za-z0-9._-]+", "value does not look like a valid realm"),
    "pve-storage-content": says(
        "images|rootdir|vztmpl|iso|backup|snippets|import|none", "invalid content type '{}'"
    ),
    "pve-volume-id": check_volume,
    "pve-lxc-mp-string": says(r"(?!.*/\.\.?(/|$))(?!\.\./).*", "{} contains illegal character sequences"),
    "disk-size": says(r"\d+(\.\d+)?[KMGT]?", "value does not look like a valid disk size"),
    "pve-startup-order": says(
        r"(\d+|(order|up|down)=\d+)(,(order|up|down)=\d+)*", "unable to parse startup options"
    ),
    "pve-ct-timezone": check_timezone,
    "ip": check_ip,
    "lxc-ip-with-ll-iface": check_ip,
    "ipv4": check_ipv4,
    "ipv6": check_ipv6,
    "pve-ipv4-config": check_ipv4_config,
    "pve-ipv6-config": check_ipv6_config,
    "mac-addr": check_mac,
}


def check_format(name: str, value: str) -> None:
    """Raise ValueError unless `value` has the format; one we do not know allows anything.

    A name that ends with "-list" means several, parted by commas, semicolons or white space.
    """
    if name in CHECKS:
        CHECKS[name](value)
    elif name.removesuffix("-list") in CHECKS:
        for word in split_list(value):
            CHECKS[name.removesuffix("-list")](word)


def split_list(value: str) -> list[str]:
    """Return the words of a list."""
    return [word for word in re.split(r"[,;\0\s]+", value) if word]
