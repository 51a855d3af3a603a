"""System checks of the settings: each message says what to set. Run by every start and `manage.py check`."""

import os
import pwd
import re
import shutil
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004  # Django's names
from django.db import connection

from gestion import data_folder
from gestion.panel_backup import database
from keymanager.desired import TAKEN

SHORTEST_SECRET = 32
WEAK_RSA = 2048  # bits; NIST SP 800-131A Rev. 2


@register(Tags.security)
def check_address(**_kwargs: Any) -> list[CheckMessage]:
    """GESTION_URL, and what depends on it."""
    return list(_address_messages())


def _address_messages() -> Iterator[CheckMessage]:
    parts = urlsplit(settings.GESTION_URL)
    taken = re.fullmatch(TAKEN["url"], settings.GESTION_URL)  # by the servers that fetch their keys there
    odd = parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query
    if odd or not taken:
        yield Error(
            f"GESTION_URL is not the address of a panel: {settings.GESTION_URL}",
            hint="Set GESTION_URL to the full URL that people type, such as https://gestion.example.org/",
            id="gestion.E001",
        )
        return
    if parts.path != "/":
        yield Error(
            "GESTION_URL has a path, and the panel works only at the root of a host name.",
            hint=f"Set GESTION_URL={parts.scheme}://{parts.netloc}/",
            id="gestion.E002",
        )
    if "*" in settings.ALLOWED_HOSTS:
        yield Warning(
            "ALLOWED_HOSTS allows any host name, so links could be made to point anywhere.",
            hint=f"Set ALLOWED_HOSTS={parts.hostname}",
            id="gestion.W003",
        )
    elif not any(_fits(parts.hostname or "", allowed) for allowed in settings.ALLOWED_HOSTS):
        yield Error(
            f"ALLOWED_HOSTS lacks the host of GESTION_URL, {parts.hostname}: every page would answer 400.",
            hint=f"Add {parts.hostname} to ALLOWED_HOSTS, or leave ALLOWED_HOSTS out.",
            id="gestion.E004",
        )


@register(Tags.security)
def check_transport(**_kwargs: Any) -> list[CheckMessage]:
    """That nothing secret travels in the clear, and that no stranger is believed."""
    found: list[CheckMessage] = []
    secure = not settings.GESTION_URL.startswith("http://")
    if not (secure or settings.DEMO or _is_loopback(urlsplit(settings.GESTION_URL).hostname or "")):
        found.append(
            Warning(
                "The panel is reached by plain HTTP over a network: passwords and keys can be read.",
                hint="Put a proxy with a certificate in front; set GESTION_URL=https://…, TRUST_PROXY=true.",
                id="gestion.W005",
            )
        )
    if settings.TRUST_PROXY and not secure:
        found.append(
            Warning(
                "TRUST_PROXY is on, but GESTION_URL is plain HTTP: callers could choose their own address.",
                hint="Set GESTION_URL=https://…, or TRUST_PROXY=false where no proxy stands in front.",
                id="gestion.W006",
            )
        )
    if settings.ALLOW_PLAIN_HTTP_KEYS and secure:
        found.append(
            Warning(
                "ALLOW_PLAIN_HTTP_KEYS lets servers fetch their SSH keys without TLS.",
                hint="Set ALLOW_PLAIN_HTTP_KEYS=false once every server fetches by https.",
                id="gestion.W007",
            )
        )
    if settings.DEBUG and secure:
        found.append(
            Error(
                "DEBUG shows the panel's insides to everybody who meets an error.",
                hint="Set DEBUG=false, or leave it out.",
                id="gestion.E008",
            )
        )
    return found


@register(Tags.security)
def check_secrets(**_kwargs: Any) -> list[CheckMessage]:
    """That secrets are long, and each has one purpose."""
    make = 'Make one with: python3 -c "import secrets; print(secrets.token_urlsafe(48))"'
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < SHORTEST_SECRET:
        found.append(Error("SECRET_KEY is too short to be hard to guess.", hint=make, id="gestion.E009"))
    keys = [key.strip() for key in settings.GESTION_ENCRYPTION_KEYS]
    if any(len(key) < SHORTEST_SECRET for key in keys):
        found.append(
            Error("A key in GESTION_ENCRYPTION_KEYS is too short or empty.", hint=make, id="gestion.E010")
        )
    if 0 < len(settings.MONITORING_TOKEN) < SHORTEST_SECRET:
        found.append(
            Error("MONITORING_TOKEN is too short to be hard to guess.", hint=make, id="gestion.E019")
        )
    if settings.SECRET_KEY in keys:
        found.append(
            Warning(
                "GESTION_ENCRYPTION_KEYS holds SECRET_KEY: replacing one would need the other.",
                hint=f"Give each its own value. {make}",
                id="gestion.W011",
            )
        )
    if settings.RSA_MIN_BITS < WEAK_RSA:
        words = f"RSA_MIN_BITS takes RSA keys of {settings.RSA_MIN_BITS} bits, which can be broken."
        hint = f"Set RSA_MIN_BITS={WEAK_RSA} or more, or leave it out, once nobody has such a key."
        found.append(Warning(words, hint=hint, id="gestion.W023"))
    if settings.VM_PASS_SECRET and len(settings.VM_PASS_SECRET) < SHORTEST_SECRET:
        words = "VM_PASS_SECRET is short: whoever guesses it knows root's password on created containers."
        found.append(Warning(words, hint=make, id="gestion.W016"))
    if settings.VM_PASS_SECRET and settings.VM_PASS_SECRET in {settings.SECRET_KEY, *keys}:
        words = "VM_PASS_SECRET has another purpose, too: replacing one would need the other."
        found.append(Warning(words, hint=f"Give each its own value. {make}", id="gestion.W017"))
    return found


@register(Tags.files)
def check_data_dir(**_kwargs: Any) -> list[CheckMessage]:
    """That the panel can write where it keeps its data, and nobody else reads there."""
    folder = settings.DATA_DIR
    if not os.access(folder, os.W_OK | os.X_OK):
        return [
            Error(
                f"The panel may not write in DATA_DIR, {folder}.",
                hint="Give the folder to the user that runs the panel, or set DATA_DIR to another one.",
                id="gestion.E012",
            )
        ]
    found: list[CheckMessage] = []
    if data_folder.is_shared(folder):
        found.append(
            Warning(
                f"DATA_DIR, {folder}, is a folder that others use, too, so it stays open to them.",
                hint="Set DATA_DIR to a folder for the panel alone, and move the panel's files there.",
                id="gestion.W021",
            )
        )
    elif open_to_others := data_folder.too_open(folder, settings.OWN_SECRETS):
        names = ", ".join(str(path) for path in open_to_others[:3])
        found.append(
            Warning(
                f"Other users of this machine may look into DATA_DIR, which holds secrets: {names}",
                hint=f"They belong to another user. As root run: chown -R {_user()} {folder} && chmod -R go= {folder}",
                id="gestion.W013",
            )
        )
    return found


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container's user may have no name
        return str(os.geteuid())


@register
def check_services(**_kwargs: Any) -> list[CheckMessage]:
    """That database, broker and the panel's place in the fleet fit together."""
    found: list[CheckMessage] = []
    if not settings.EMBEDDED and settings.CELERY_BROKER_URL.startswith("filesystem"):
        found.append(
            Warning(
                "DATABASE_URL is set, but the broker is a folder here: workers elsewhere get no jobs.",
                hint="Set REDIS_URL=redis://…",
                id="gestion.W014",
            )
        )
    if settings.GESTION_IP:
        try:
            ip_address(settings.GESTION_IP)
        except ValueError:
            found.append(
                Error(
                    f"GESTION_IP is not an IP address: {settings.GESTION_IP}",
                    hint="Set GESTION_IP to the panel's address on the internal network, or leave it out.",
                    id="gestion.E015",
                )
            )
    if settings.GESTION_NAME and not re.fullmatch(r"[\w.-]+", settings.GESTION_NAME):
        found.append(
            Error(
                f"GESTION_NAME is not a host name: {settings.GESTION_NAME}",
                hint="Set GESTION_NAME to the panel's host name on the internal network, or leave it out.",
                id="gestion.E024",
            )
        )
    return found


@register
def check_pg_dump(**_kwargs: Any) -> list[CheckMessage]:
    """That a panel on PostgreSQL can be backed up."""
    if connection.vendor != "postgresql":
        return []
    return _pg_dump_messages(database.why_no_pg_dump(ask_server=False))


@register(Tags.database)
def check_pg_dump_version(databases: Sequence[str] | None = None, **_kwargs: Any) -> list[CheckMessage]:
    """The same, asking the server for its version; run by `migrate` and `check --database default`."""
    if connection.vendor != "postgresql" or connection.alias not in (databases or ()):
        return []
    if not shutil.which("pg_dump"):
        return []  # the other check says so
    return _pg_dump_messages(database.why_no_pg_dump())


def _pg_dump_messages(words: str) -> list[CheckMessage]:
    hint = "Until then `manage.py backup_panel` cannot back up the panel."
    return [Warning(words, hint=hint, id="gestion.W022")] if words else []


def _fits(host: str, allowed: str) -> bool:
    if allowed.startswith("."):
        return host == allowed[1:] or host.endswith(allowed)
    return host == allowed.strip("[]").lower()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
