"""The option from= of a key (sshd(8)): by which addresses, networks, names and patterns one may come in with it."""

import re
from ipaddress import ip_interface

from django.utils.translation import gettext as _

from keymanager.bad_key import BadKey

_PART = re.compile(r"!?[A-Za-z0-9.:*?_%/-]+")
_NOBODY = "!*"
_ALL_ADDRESSES = {"0.0.0.0/0", "::/0"}
# No name has only these, or a colon: it was meant for an address.
_LIKE_ADDRESS = re.compile(r"[0-9.-]+|0x[0-9a-f]+|[^*?]*:[^*?]*", re.IGNORECASE)


def check_from(value: str) -> None:
    """Raise BadKey unless sshd makes of each part what it says, and somebody can come in."""
    parts = value.split(",")
    if any(part != part.strip() for part in parts):
        raise BadKey(_("Between the addresses of “from” stands a comma alone, without a blank."))
    for part in parts:
        if why := _wrong(part) or _half_an_address(part):
            raise BadKey(why)
    if not lets_somebody_in(value):
        raise BadKey(
            _(
                "With this “from” nobody could log in: it says only who may not. End it with “,*” to let in all others."
            )
            if _NOBODY not in parts
            else _("With this “from” nobody could log in: it has “!*”.")
        )


def lets_somebody_in(value: str) -> bool:
    """Whether there is an address from which sshd lets in, also with parts that it makes nothing of."""
    parts = value.split(",")
    return _NOBODY not in parts and any(not part.startswith("!") and not _wrong(part) for part in parts)


def lets_in_from_everywhere(value: str) -> bool:
    """Whether it keeps no address out: `*`, or all of IPv4 and of IPv6, among parts of which none says who may not."""
    parts = value.split(",")
    return ("*" in parts or _ALL_ADDRESSES.issubset(parts)) and not any(
        part.startswith("!") for part in parts
    )


def _half_an_address(part: str) -> str:
    """Why a part that looks like an address is read otherwise, as inet_aton(3) does: 10.1 as 10.0.0.1, a leading zero
    as octal; or by nothing, as 10.0.0.1-9 or an IPv4 address with an interface. Only asked of what is typed: a key of
    before may be used with it.
    """
    address = part.removeprefix("!")
    try:
        ip_interface(address)
    except ValueError:
        if _LIKE_ADDRESS.fullmatch(address.partition("%")[0]):
            words = _(
                "In “from”, %s is no whole address, and sshd would take it for another one or for none. Write four "
                "numbers without zeros before them, a network such as 10.1.0.0/16, or a pattern such as 10.1.*."
            )
            return words % part[:60]
    return ""


def _wrong(part: str) -> str:
    """Why sshd makes nothing of this part, or not what it says; empty where it does."""
    address, slash, mask = part.removeprefix("!").partition("/")
    words = _("The option “from” cannot have this value: “%s”.") % part[:60]
    if not _PART.fullmatch(part):
        return words
    try:
        found = ip_interface(f"{address}{slash}{mask}")
    except ValueError:  # a name, or a pattern of addresses
        return words if slash else ""
    right = ""
    if found.version == 6 and found.ip.ipv4_mapped:  # who comes by IPv4 is compared as such
        bits = max(0, found.network.prefixlen - 96)
        right = f"{found.ip.ipv4_mapped}/{bits}" if slash else str(found.ip.ipv4_mapped)
    elif slash and (not mask.isdecimal() or found.ip != found.network.network_address):
        right = found.network.with_prefixlen
    if not right:
        return ""
    words = _("In “from”, write %(right)s in place of %(wrong)s, of which sshd makes nothing.")
    return words % {"right": right, "wrong": part.removeprefix("!")}
