"""What a server that fetches its keys should hold: the script, its settings, the believed signers, the
cron entry.
"""

import base64
import re
import shlex
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _
from jinja2 import Environment

from hosts.state import STAGED, Command, File, State
from keymanager import lines
from keymanager.protocol import STALE_HOURS
from servers.configs import NotWritable, environment

KIND = "keys"
SCRIPT = "/usr/local/sbin/gestion-keys"
CONF = "/etc/gestion/keys.conf"
SIGNERS = "/etc/gestion/keys.signers"
CRON = "/etc/cron.d/gestion-keys"
# What read_conf of gestion-keys takes, so that nothing is written that it would refuse.
TAKEN = {
    "url": r"https?://[A-Za-z0-9.:/_~%-]+|https?://\[[0-9a-fA-F:]+\][A-Za-z0-9.:/_~%-]*",
    "name": r"[A-Za-z0-9][A-Za-z0-9._-]*",
    "token": r"[A-Za-z0-9_-]+",
    "spread": r"[0-9]{1,3}",
    "resolve": r"([A-Za-z0-9.-]+:[0-9]+:[0-9a-fA-F.:]+)?",
}


@dataclass(frozen=True)
class Fetch:
    """Everything the files on one server depend on."""

    url: str  # the panel's, with its slash at the end
    name: str
    token: str
    signers: str
    minute: int
    plain_http: bool = False
    spread: int = 20  # seconds: a random wait, so that servers of one minute do not come in one second
    resolve: str = ""  # host:port:address, as curl's option: for guests on the panel's own Proxmox host


def minute_of(name: str) -> int:
    """The minute at which a server of this name fetches: always the same, and spread over the hour."""
    return zlib.crc32(name.encode()) % 60


def files(fetch: Fetch) -> tuple[File, ...]:
    """The four files; raises NotWritable for a value that the script does not take."""
    for name, taken in TAKEN.items():
        value = str(getattr(fetch, name))
        if not re.fullmatch(taken, value, re.ASCII):
            words = {"name": name, "value": "…" if name == "token" else ascii(value)}
            raise NotWritable(_("gestion-keys takes no %(name)s like %(value)s.") % words)
    script = _render("gestion-keys.j2", lines=lines, stale_hours=STALE_HOURS)
    conf = _render(
        "keys.conf.j2",
        url=fetch.url,
        name=fetch.name,
        token=fetch.token,
        plain_http=fetch.plain_http,
        spread=fetch.spread,
        resolve=fetch.resolve,
    )
    cron = _render("gestion-keys.cron.j2", minute=fetch.minute)
    return (
        File(SCRIPT, script.encode(), mode=0o755),
        File(CONF, conf.encode(), mode=0o600, secret=True),
        File(SIGNERS, fetch.signers.encode()),
        File(CRON, cron.encode()),
    )


def keys_state(fetch: Fetch) -> State:
    """The state: valid as sh, then fetched once for real, then holding what it should.

    A look compares every authorized_keys2 with what was written there; a rollout puts it right, as a fetch does.
    When the fetch fails on a new server, the files go again; on one that had them, the old ones come back.
    """
    return State(
        kind=KIND,
        items=files(fetch),
        checks=(Command(("sh", "-n", STAGED(SCRIPT))),),
        activate=(Command((SCRIPT,), timeout=180),),
        proofs=(Command((SCRIPT, "--check"), timeout=120),),
        looks=(Command((SCRIPT, "--look"), timeout=120),),
        put_back=(),
    )


def install_text(fetch: Fetch) -> str:
    """A script of sh for a root shell on the server, which puts the same files there."""
    return _render(
        "install.sh.j2",
        name=fetch.name,
        files=[
            {"path": file.path, "mode": f"{file.mode:04o}", "content": file.content} for file in files(fetch)
        ],
    )


def _one_line(value: str) -> str:
    """A value that stands on a line of its own; anything that could begin another line is a mistake of
    ours.
    """
    if not value.isprintable():
        raise NotWritable(_("%s does not fit on one line.") % ascii(value))
    return value


def _lines64(content: bytes) -> str:
    text = base64.b64encode(content).decode()
    return "\n".join(text[at : at + 76] for at in range(0, len(text), 76))


@cache
def _environment() -> Environment:
    filters: dict[str, Callable[..., Any]] = {"line": _one_line, "sh": shlex.quote, "lines64": _lines64}
    # The script is full of braces and hashes of its own.
    marks = {"comment_start_string": "{#~", "comment_end_string": "~#}"}
    return environment(
        Path(__file__).parent / "configs", filters, trim_blocks=False, lstrip_blocks=False, **marks
    )


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)
