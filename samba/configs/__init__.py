"""Templates of what Samba servers get, named after the file there; `configured` fills one in."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from samba.names import is_folder, is_share_name, is_user, is_value

FOLDER = Path(__file__).parent
_HASH = re.compile(r"[0-9A-F]{32}|-", re.ASCII)


class NotWritable(ValueError):  # noqa: N818 - what the rows should never hold
    """A value that would change the structure of the file; the forms and validators let none in."""


def section(value: str) -> str:
    """The name of a section of smb.conf that is a share and nothing else."""
    return _checked(value, is_share_name(value), "section")


def one_value(value: str) -> str:
    """A value of smb.conf: one line, nothing substituted in it, not joined with the next one."""
    return _checked(value, bool(value) and is_value(value), "value")


def path(value: str) -> str:
    """An absolute path as a value."""
    plain = value.startswith("/") and ".." not in value.split("/") and not value.endswith("/")
    return _checked(value, plain and is_value(value), "path")


def folder(value: str) -> str:
    """A path inside the base folder."""
    return _checked(value, is_folder(value), "folder")


def user(value: str) -> str:
    """A unix user; no group, no list."""
    return _checked(value, is_user(value), "user")


def password_hash(value: str) -> str:
    """An NT hash, or "-"."""
    if not _HASH.fullmatch(value):
        raise NotWritable("this is no hash")
    return value


def _checked(value: str, good: bool, what: str) -> str:
    if not good:
        raise NotWritable(f"{value!r} cannot be a {what} of Samba's configuration")
    return value


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
    environment.filters.update(
        section=section, value=one_value, path=path, folder=folder, user=user, hash=password_hash
    )
    return environment


def configured(template: str, **values: object) -> str:
    """The template's text with these values. Raises NotWritable."""
    return _environment().get_template(template).render(**values)
