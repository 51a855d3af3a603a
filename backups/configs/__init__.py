"""Templates of what backup servers get, named after the file there; `configured` fills one in."""

import re
from functools import cache
from pathlib import Path

from django.utils.translation import gettext as _
from jinja2 import Environment

from servers.configs import NotWritable, environment

__all__ = ["NotWritable", "configured"]

FOLDER = Path(__file__).parent
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# In known_hosts a mark begins with @, and a comment with #.
_WORD = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:@-]*", re.ASCII)

_SUDOER = re.compile(r"[a-z_][a-z0-9_.-]{0,31}", re.ASCII)


def one_field(value: object) -> str:
    """A value as one field of rsnapshot.conf: fields end at tabs, lines at newlines, and nothing can be quoted."""
    text = str(value)
    if not text or _CONTROL.search(text) or text != text.strip():
        raise NotWritable(_("%s cannot stand in rsnapshot.conf.") % ascii(text))
    return text


def one_line(value: object) -> str:
    """A value as one line of a list."""
    text = str(value)
    if _CONTROL.search(text):
        raise NotWritable(_("%s is more than one line.") % ascii(text))
    return text


def word(value: object) -> str:
    """A value of ssh_config: letters, digits and what names and addresses consist of."""
    text = str(value)
    if not _WORD.fullmatch(text):
        raise NotWritable(_("%s cannot stand in ssh_config.") % ascii(text))
    return text


def sudoer(value: object) -> str:
    """A unix user in sudoers(5), where words in capitals are aliases or ALL, and marks begin groups and numbers."""
    text = str(value)
    if not _SUDOER.fullmatch(text):
        raise NotWritable(_("%s cannot stand in sudoers: log in as a user in small letters.") % ascii(text))
    return text


@cache
def _environment() -> Environment:
    return environment(FOLDER, {"field": one_field, "line": one_line, "word": word, "sudoer": sudoer})


def configured(template: str, **values: object) -> str:
    """The template's text with these values. Raises NotWritable."""
    return _environment().get_template(template).render(**values)
