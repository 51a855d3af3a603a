"""Options before a public key, as sshd(8) reads them (AUTHORIZED_KEYS FILE FORMAT): parsed, judged, rendered.

Only options that take something away are kept. Those that give more (cert-authority, principals, tunnel,
environment, no-touch-required) are refused, as is every option that sshd would refuse the whole line for.
"""

import datetime
import re
from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _

from keymanager.bad_key import BadKey
from keymanager.key_from import check_from, lets_in_from_everywhere, lets_somebody_in
from keymanager.lines import is_key, is_too_long

_FLAGS = {
    "restrict": "restrict",
    "no-agent-forwarding": "no-agent-forwarding",
    "no-port-forwarding": "no-port-forwarding",
    "no-pty": "no-pty",
    "no-user-rc": "no-user-rc",
    "no-x11-forwarding": "no-X11-forwarding",
    "verify-required": "verify-required",
}
# These only take back a part of an earlier `restrict`.
_GIVE_BACK = {
    "agent-forwarding": "agent-forwarding",
    "port-forwarding": "port-forwarding",
    "pty": "pty",
    "user-rc": "user-rc",
    "x11-forwarding": "X11-forwarding",
}
_WITH_VALUE = {"command", "expiry-time", "from", "permitlisten", "permitopen"}
_MANY = {"permitlisten", "permitopen"}
_WIDENING = {"cert-authority", "environment", "principals", "no-touch-required", "tunnel"}

_MEANT = re.compile(
    rf"^({'|'.join(_FLAGS)}|cert-authority|no-touch-required)(?![^,\s])"
    rf"|(?<![^,\s])({'|'.join(sorted(_WITH_VALUE))}|environment|principals|tunnel)=",
    re.IGNORECASE,
)
_NAME = re.compile(r"[A-Za-z0-9-]+")
_HOST = r"(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9.*?_-]+)"
_OPEN = re.compile(rf"{_HOST}:([0-9]{{1,5}}|\*)")
_LISTEN = re.compile(rf"({_HOST}:)?([0-9]{{1,5}}|\*)")
LAST_PORT = 65535
FIRST_YEAR, LAST_YEAR = 1971, 9998  # sshd takes no time before 1970, wherever it is; calendars end with 9999
_EXPIRY = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}


def canonical_options(text: str) -> str:
    """The options as this panel writes them: same order, known names, each once. Raises BadKey."""
    rendered: list[str] = []
    seen: set[str] = set()
    for name, value in _split(text):
        if name in seen and name not in _MANY:
            raise BadKey(_("The option “%s” is there twice.") % name)
        if name in _GIVE_BACK and "restrict" not in seen:
            raise BadKey(_("The option “%s” only means something after “restrict”.") % name)
        seen.add(name)
        option = _rendered(name, value)
        if option not in rendered:
            rendered.append(option)
    return ",".join(rendered)


@dataclass(frozen=True)
class Limits:
    """What a key's options leave of it. `ends_at`: from then on sshd refuses it."""

    ends_at: datetime.datetime | None = None
    sources: str = ""  # the addresses from which alone it counts
    command: str = ""  # what runs in the place of what is asked for

    @property
    def opens_shell(self) -> bool:
        """Whether its holder gets a shell with it, from anywhere."""
        return not self.sources and not self.command


NO_SHELL = Limits(command="?")


def limits_of(options: str) -> Limits:
    """What kept options leave of a key. Those with which sshd lets nobody in (of an older version) leave no shell.

    An end without a Z is in the server's own time, which the panel's stands for.
    """
    found = _living(options)
    if found is None:
        return NO_SHELL
    ends, sources = found.get("expiry-time"), found.get("from") or ""
    if lets_in_from_everywhere(sources):
        sources = ""
    try:
        return Limits(_end_of(ends) if ends else None, sources, found.get("command") or "")
    except (ValueError, KeyError):
        return NO_SHELL


def is_sent(options: str, line: str) -> bool:
    """Whether servers get a kept key, by its options and its line: not one with which sshd lets nobody in.

    What is pasted is held against more than this: what an older version kept is not taken away where it works.
    """
    if not is_key(line.encode(errors="replace")) or _living(options) is None:
        return False
    kind, blob = line.removeprefix(options).split(None, 2)[:2]
    return not is_too_long(kind, blob)


def _living(options: str) -> dict[str, str | None] | None:
    """The options by name; None where sshd lets nobody in with them."""
    try:
        found = _split(options)
        return dict(found) if all(_lives(name, value) for name, value in found) else None
    except BadKey:
        return None


def _lives(name: str, value: str | None) -> bool:
    """Whether sshd lets anybody in with this option. Raises BadKey where it does not."""
    if name == "from" and value:
        return lets_somebody_in(value)
    if name == "expiry-time" and value:
        return value >= str(FIRST_YEAR)
    return bool(_rendered(name, value))


def _end_of(value: str) -> datetime.datetime:
    digits = value.removesuffix("Z")
    zone = datetime.UTC if value.endswith("Z") else timezone.get_default_timezone()
    found = datetime.datetime.strptime(digits, _EXPIRY[len(digits)])  # noqa: DTZ007  # it gets its zone below
    return found.replace(year=min(max(found.year, FIRST_YEAR), LAST_YEAR), tzinfo=zone)


def options_end(line: str) -> int:
    """Where the options at the start of a line end: the first blank outside quotes, or the line's end."""
    quoted = False
    place = 0
    while place < len(line) and (quoted or line[place] not in " \t"):
        if line.startswith('\\"', place):
            place += 1
        elif line[place] == '"':
            quoted = not quoted
        place += 1
    return place


def begins_with_option(text: str) -> bool:
    """Whether a text begins with the name of an option that sshd knows."""
    found = _NAME.match(text)
    return (
        found is not None and found[0].lower() in _FLAGS.keys() | _GIVE_BACK.keys() | _WITH_VALUE | _WIDENING
    )


def holds_options(comment: str) -> bool:
    """Whether a comment is, or has in it, what was meant as options: behind the key they take nothing away."""
    return _MEANT.search(comment) is not None


def _split(text: str) -> list[tuple[str, str | None]]:
    """Names in lower case, values without their quotes; None for an option without a value."""
    found: list[tuple[str, str | None]] = []
    place = 0
    while place < len(text):
        match = _NAME.match(text, place)
        if not match:
            raise BadKey(_("The options before the key cannot be read: “%s”.") % text[place : place + 40])
        name, place, value = match[0].lower(), match.end(), None
        if text.startswith("=", place):
            value, place = _dequoted(text, place + 1, name)
        found.append((name, value))
        if place < len(text) and (text[place] != "," or place + 1 == len(text)):
            raise BadKey(_("The options before the key cannot be read after “%s”.") % name)
        place += 1
    return found


def _dequoted(text: str, place: int, name: str) -> tuple[str, int]:
    if not text.startswith('"', place):
        words = _('The value of the option “%(name)s” must stand in straight double quotes: %(name)s="…"')
        raise BadKey(words % {"name": name})
    place += 1
    value = ""
    while place < len(text) and text[place] != '"':
        if text.startswith('\\"', place):
            place += 1
        value += text[place]
        place += 1
    if place >= len(text):
        raise BadKey(_("The value of the option “%s” has no closing quote.") % name)
    return value, place + 1


def _rendered(name: str, value: str | None) -> str:
    if name in _WIDENING:
        raise BadKey(_("The option “%s” would allow more than the key alone; it is not taken.") % name)
    flag = _FLAGS.get(name) or _GIVE_BACK.get(name)
    if flag and value is None:
        return flag
    if name not in _WITH_VALUE or value is None:
        raise BadKey(_("The option “%s” is not known, or not written as sshd(8) says.") % name)
    _check_value(name, value)
    quoted = value.replace('"', '\\"')
    return f'{name}="{quoted}"'


def _check_value(name: str, value: str) -> None:
    if any(character < " " or character == "\x7f" for character in value):
        raise BadKey(_("There is a tab or another control character in the option “%s”.") % name)
    good = bool(value.strip())
    if name == "from":
        check_from(value)
    elif name == "permitopen":
        good = _good_port(_OPEN.fullmatch(value))
    elif name == "permitlisten":
        good = _good_port(_LISTEN.fullmatch(value))
    elif name == "expiry-time":
        good = _good_expiry(value)
    if not good:
        raise BadKey(
            _("The option “%(name)s” cannot have this value: “%(value)s”.")
            % {"name": name, "value": value[:60]}
        )


def _good_port(found: re.Match[str] | None) -> bool:
    """Whether it was written as it should, and ends with a port that there is, or with any."""
    port = found[found.re.groups] if found else ""
    return port == "*" or (port != "" and 1 <= int(port) <= LAST_PORT)


def _good_expiry(value: str) -> bool:
    """YYYYMMDD[HHMM[SS]] with an optional Z for UTC."""
    digits = value.removesuffix("Z")
    if not (digits.isascii() and digits.isdigit() and len(digits) in _EXPIRY):
        return False
    try:
        found = datetime.datetime.strptime(digits, _EXPIRY[len(digits)])  # noqa: DTZ007  # only whether it is a time
    except ValueError:
        return False
    return FIRST_YEAR <= found.year <= LAST_YEAR
