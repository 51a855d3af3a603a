"""Templates of what backup servers get, named after the file there; `configured` fills one in."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment

from servers.configs import environment

FOLDER = Path(__file__).parent
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WORD = re.compile(r"[A-Za-z0-9_.:@-]+", re.ASCII)


class NotWritable(ValueError):  # noqa: N818 - what the rows should never hold
    """A value that would change the structure of the file; the forms and validators let none in."""


def one_field(value: object) -> str:
    """A value as one field of rsnapshot.conf: fields end at tabs, lines at newlines, and nothing can be quoted."""
    text = str(value)
    if not text or _CONTROL.search(text) or text != text.strip():
        raise NotWritable(f"{text!r} cannot be a field of rsnapshot.conf")
    return text


def one_line(value: object) -> str:
    """A value as one line of a list."""
    text = str(value)
    if _CONTROL.search(text):
        raise NotWritable(f"{text!r} cannot be a line")
    return text


def word(value: object) -> str:
    """A value of ssh_config: letters, digits and what names and addresses consist of."""
    text = str(value)
    if not _WORD.fullmatch(text) or text.startswith("-"):
        raise NotWritable(f"{text!r} cannot be a word of ssh_config")
    return text


@cache
def _environment() -> Environment:
    return environment(FOLDER, {"field": one_field, "line": one_line, "word": word})


def configured(template: str, **values: object) -> str:
    """The template's text with these values. Raises NotWritable."""
    return _environment().get_template(template).render(**values)
