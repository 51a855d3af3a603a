"""Templates of what hosts get, named after the file there; `configured` fills one in."""

import re
import shlex
from functools import cache
from pathlib import Path

from jinja2 import Environment

from servers.configs import NotWritable, environment

FOLDER = Path(__file__).parent
_NOT_IN_NGINX = re.compile(r"[\x00-\x1f\x7f$\ud800-\udfff]")


@cache
def _environment() -> Environment:
    return environment(FOLDER, {"sh": shlex.quote, "nginx": nginx_quote})


def nginx_quote(value: str) -> str:
    """The value as one word of an nginx file.

    NotWritable for what nginx cannot be told literally: control characters, a variable, bytes that are no text.
    """
    if not value or _NOT_IN_NGINX.search(value):
        raise NotWritable(f"{value!r} cannot be written into an nginx file")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def configured(template: str, **values: object) -> str:
    """The template's text with these values."""
    return _environment().get_template(template).render(**values)
