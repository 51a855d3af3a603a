"""The panel's secrets as lines: which there are, and how one stands in a file of settings."""

import re

from gestion.settings_table import every_setting

NAMES = tuple(setting.name for setting in every_setting() if setting.kind == "secret")
LONGEST = 4096  # characters
PLAIN = re.compile(r"[A-Za-z0-9_.,:;=+/@%^~-]+")


def read(text: str) -> dict[str, str]:
    """The secrets of an archive's `NAME=value` lines. Raises ValueError for whatever is no secret of ours."""
    found: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n") if text else ():
        name, _sign, value = line.partition("=")
        if name not in NAMES:
            raise ValueError(f"{name[:60]!r} is no secret of a panel")
        if name in found:
            raise ValueError(f"{name} is there twice")
        check(name, value)
        found[name] = value
    return found


def check(name: str, value: str) -> None:
    """Raises ValueError where no line can hold the value."""
    if not value or len(value) > LONGEST or "\0" in value or value.splitlines() != [value]:
        raise ValueError(f"{name} cannot be written into one line")


def line(name: str, value: str) -> str:
    r"""A line of a file of settings, as django-environ reads it: in double quotes, `\` before `\` and `"`.

    Raises ValueError for what such a file cannot hold: it takes a value that begins with `$` for another's name.
    """
    check(name, value)
    if value.startswith("$"):
        raise ValueError(f"{name} begins with $, which no file of settings can hold")
    if PLAIN.fullmatch(value):
        return f"{name}={value}\n"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}="{escaped}"\n'
