"""Templates of what Samba servers get, named after the file there; `configured` fills one in."""

import re
from functools import cache
from pathlib import Path

from django.utils.translation import gettext as _
from jinja2 import Environment

from samba.names import is_comment, is_folder, is_share_name, is_user
from servers.configs import NotWritable, environment

__all__ = ["NotWritable", "configured"]
FOLDER = Path(__file__).parent
NOTHING = "%%mm"
_HASH = re.compile(r"[0-9A-F]{32}|-", re.ASCII)


def section(value: str) -> str:
    """The name of a section of smb.conf that is a share and nothing else."""
    return _checked(value, is_share_name(value))


def comment(value: str) -> str:
    r"""A comment, so that clients see it as it is.

    Samba takes quotation marks off the ends of a value, and joins a line that ends with \ with the next one; not so
    where something stands beside them. %%mm does, and becomes nothing: Samba replaces in comments twice, before and
    after it looks at the quotation marks (substitute.c, srv_srvsvc_nt.c); the first time leaves %m, the second nothing.
    The proof on the host looks at what clients see.
    """
    _checked(value, bool(value) and is_comment(value))
    if value.endswith(('"', "\\")):
        return f"{value}{NOTHING}"
    return f"{NOTHING}{value}" if value.startswith('"') else value


def path(value: str) -> str:
    """An absolute path as a value; with "/." behind it where its end would be read otherwise."""
    _checked(value, value.startswith("/") and is_folder(value[1:]))
    return f"{value}/." if value.endswith((" ", '"', "\\")) else value


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
        "section": section, "comment": comment, "path": path, "folder": folder, "user": user,
        "hash": password_hash,
    }  # fmt: skip
    return environment(FOLDER, filters)


def configured(template: str, **values: object) -> str:
    """The template's text with these values. Raises NotWritable."""
    return _environment().get_template(template).render(**values)
