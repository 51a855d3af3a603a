"""Templates of what hosts get, named after the file there; `configured` fills one in."""

import re
import shlex
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

FOLDER = Path(__file__).parent
_NOT_IN_NGINX = re.compile(r"[\x00-\x1f\x7f$\ud800-\udfff]")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML; each value goes through its format's own filter
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["sh"] = shlex.quote
    environment.filters["nginx"] = nginx_quote
    return environment


def nginx_quote(value: str) -> str:
    """The value as one word of an nginx file.

    ValueError for what nginx cannot be told literally: control characters, a variable, bytes that are no text.
    """
    if not value or _NOT_IN_NGINX.search(value):
        raise ValueError(f"{value!r} cannot be written into an nginx file")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def configured(template: str, **values: object) -> str:
    """The template's text with these values."""
    return _environment().get_template(template).render(**values)
