"""Templates of what Samba servers get, named after the file there; `configured` fills one in."""

import re
from functools import cache
from pathlib import Path

from django.utils.translation import gettext as _
from jinja2 import Environment

from samba.names import is_folder, is_share_name, is_user
from servers.configs import NotWritable, environment
from servers.validators import is_smb_value

__all__ = ["NotWritable", "configured"]
FOLDER = Path(__file__).parent
_HASH = re.compile(r"[0-9A-F]{32}|-", re.ASCII)


def section(value: str) -> str:
    """The name of a section of smb.conf that is a share and nothing else."""
    return _checked(value, is_share_name(value))


def one_value(value: str) -> str:
    """A value of smb.conf: one line, nothing substituted in it, not joined with the next one."""
    return _checked(value, bool(value) and is_smb_value(value))


def path(value: str) -> str:
    """An absolute path as a value."""
    plain = value.startswith("/") and ".." not in value.split("/") and not value.endswith("/")
    return _checked(value, plain and is_smb_value(value))


def folder(value: str) -> str:
    """A path inside the base folder."""
    return _checked(value, is_folder(value))


def user(value: str) -> str:
    """A unix user; no group, no list."""
    return _checked(value, is_user(value))


def password_hash(value: str) -> str:
    """An NT hash, or "-"."""
    if not _HASH.fullmatch(value):
        raise NotWritable(_("A password of it is not in the form that Samba takes."))
    return value


def _checked(value: str, good: bool) -> str:
    if not good:
        raise NotWritable(_("%s cannot stand in Samba's configuration.") % ascii(value))
    return value


@cache
def _environment() -> Environment:
    filters = {
        "section": section, "value": one_value, "path": path, "folder": folder, "user": user,
        "hash": password_hash,
    }  # fmt: skip
    return environment(FOLDER, filters)


def configured(template: str, **values: object) -> str:
    """The template's text with these values. Raises NotWritable."""
    return _environment().get_template(template).render(**values)
