"""Rules for what a person types about a server; each refuses whatever could be read as anything else."""

import re
from ipaddress import ip_address

import idna
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from hosts.address import BadConnection, ends_in_number, parse_connection

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME_LABEL = _LABEL.replace(
    "9-]{", "9_-]{"
)  # the DNS takes any sign (RFC 2181, section 11); offices use this one
_DOMAIN = re.compile(rf"{_NAME_LABEL}(\.{_NAME_LABEL})*", re.ASCII)
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_DOTS = re.compile("[.\u3002\uff0e\uff61]")  # of UTS 46
_NODE = re.compile(_LABEL, re.ASCII)
_KEYMANAGER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}", re.ASCII)
_UNIX_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,30}[a-z0-9_$-]?", re.ASCII)
# smb.conf(5): % begins a substitution, \ joins lines, and Samba makes one space of several (params.c of Samba).
_NOT_IN_SMB_CONF = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff%\\]|  ")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


LONGEST_OWN_NAME = 64


def normal_name(value: str) -> str:
    """A domain name as it is stored: lower case, no dot at the end, international names in punycode (UTS 46).

    What cannot be such a name is given back as it is, for validate_server_name to refuse.
    """
    value = value.strip(" ")
    if value.endswith(".."):
        return value
    value = value.removesuffix(".")
    try:
        return ".".join(_normal_label(label) for label in _DOTS.split(value))
    except idna.IDNAError:
        return value


def _normal_label(label: str) -> str:
    return label.lower() if label.isascii() else idna.encode(label, uts46=True).decode()


def host_name_of(name: str) -> str:
    """What a machine of this name can call itself: host names have no underscores (RFC 952), so hyphens."""
    return name.replace("_", "-")


def machine_name_of(name: str) -> str:
    """What a machine of this name calls itself: its host name; of one too long for Linux (uname(2)) its first part."""
    whole = host_name_of(name)
    return whole if len(whole) <= LONGEST_OWN_NAME else whole.partition(".")[0]


def validate_server_name(value: str) -> None:
    """A domain name, underscores within its parts included, that nothing reads as an IP address."""
    if not _DOMAIN.fullmatch(value) or len(value) > 253:
        raise ValidationError(
            _("Enter a domain name: letters, digits, hyphens, dots, and underscores inside its parts.")
        )
    _refuse_address(value)


def validate_host_name(value: str) -> None:
    """A host name (RFC 1123, section 2.1), as certificates may have it, that nothing reads as an IP address."""
    if "_" in value and _DOMAIN.fullmatch(value):
        words = _(
            "A name with an underscore gets no certificate (CA/Browser Forum, Baseline Requirements): try %s."
        )
        raise ValidationError(words % host_name_of(value))
    if not _HOST_NAME.fullmatch(value) or len(value) > 253:
        raise ValidationError(_("Enter a domain name: letters, digits, hyphens and dots."))
    _refuse_address(value)


def _refuse_address(value: str) -> None:
    if ends_in_number(value):
        raise ValidationError(_("Enter a name, not an IP address: its last part is not a number."))


def validate_node_name(value: str) -> None:
    """A Proxmox node's name: one part of a domain name."""
    if not _NODE.fullmatch(value):
        raise ValidationError(_("Enter the node's name: letters, digits and hyphens, without a domain."))


def validate_keymanager_name(value: str) -> None:
    """A name that is one part of a URL's path."""
    if not _KEYMANAGER_NAME.fullmatch(value):
        raise ValidationError(
            _("Enter letters, digits, dots, hyphens and underscores, a letter or digit first.")
        )


def validate_connection(value: str) -> None:
    """An SSH connection string in the seed's syntax."""
    try:
        parse_connection(value)
    except BadConnection as error:
        raise ValidationError(str(error)) from error


def normal_connection(value: str) -> str:
    """A connection string as it is stored: as it was typed, without needless spaces, and with the user it means.

    What cannot be read is given back as it is, for validate_connection to say what was meant.
    """
    words = value.split(" ")
    text = " ".join(word for word in words if word)
    if "@" in text or _is_wrong(text):
        return text
    before, space, host = text.rpartition(" ")
    return f"{before}{space}root@{host}"


def _is_wrong(connection: str) -> bool:
    try:
        parse_connection(connection)
    except BadConnection:
        return True
    return False


def validate_ip(value: str) -> None:
    """An address that one server can have: not loopback, multicast, unspecified or IPv6 link-local."""
    address = ip_address(value)
    if (
        address.is_loopback
        or address.is_multicast
        or address.is_unspecified
        or str(address) == "255.255.255.255"
        or (address.version == 6 and address.is_link_local)
    ):
        raise ValidationError(_("Enter the address of one machine; this one has another purpose."))


def validate_interface(value: str) -> None:
    """A network interface's name (at most 15 characters, IFNAMSIZ - 1)."""
    if not _INTERFACE.fullmatch(value):
        raise ValidationError(_("Enter an interface name such as vmbr0 or eth0."))


def validate_unix_name(value: str) -> None:
    """A unix user's name as useradd(8) takes it."""
    if not _UNIX_NAME.fullmatch(value):
        raise ValidationError(
            _("Enter a unix user name: lower-case letters, digits, _ and -, not a digit or - first.")
        )


def normal_folder(value: str) -> str:
    """An absolute folder in its shortest form; anything with `..` stays as it is, to be refused."""
    if not value.startswith("/") or ".." in value.split("/"):
        return value
    return "/" + "/".join(part for part in value.split("/") if part not in {"", "."})


def is_smb_value(value: str) -> bool:
    """Whether Samba reads this text as it is; it takes quotation marks off the ends."""
    return not _NOT_IN_SMB_CONF.search(value) and value == value.strip().strip('"')


def validate_folder(value: str) -> None:
    """An absolute folder below `/`, without `..` parts or control characters, as smb.conf can say it."""
    if not value.startswith("/") or ".." in value.split("/") or _CONTROL.search(value):
        raise ValidationError(_("Enter an absolute folder such as /srv/shares, without “..”."))
    if normal_folder(value) == "/":
        raise ValidationError(_("Enter a folder of its own, not “/”."))
    if not is_smb_value(value):
        raise ValidationError(
            _(
                "Samba reads no folder with % or \\, two spaces together, or a space or quotation mark at its end."
            )
        )


def validate_text(value: str) -> None:
    """Text of several lines without other control characters."""
    if _CONTROL_BUT_LINES.search(value):
        raise ValidationError(_("This text has control characters in it."))
