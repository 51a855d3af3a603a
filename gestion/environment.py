"""Reads settings from the environment. What cannot be one is told in a sentence: its name, what it says, what to write.

A value is shown only where it cannot be a secret. Addresses of services may hold a password and never are.
"""

import builtins
import io
import math
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured

TRUE = {"true", "on", "ok", "y", "yes", "1"}
FALSE = {"false", "off", "n", "no", "0", ""}
SHOWN = 80  # signs of a wrong value
DATABASES = {"postgres", "postgresql", "psql", "pgsql", "sqlite"}
MAILS = {"smtp", "smtps", "smtp+tls", "smtp+ssl", "consolemail", "filemail", "memorymail", "dummymail"}
MAIL_OPTIONS = {"tls": "EMAIL_USE_TLS", "ssl": "EMAIL_USE_SSL"}
ZONES = Path("/usr/share/zoneinfo")  # where there is one, Django looks there too


def end_if_wrong() -> None:
    """Read the settings. If one is wrong, end this process with the sentence that says so."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")
    from django.conf import settings

    try:
        _ = settings.INSTALLED_APPS
    except ImproperlyConfigured as error:
        sys.exit(str(error))


def wrong(name: str, what: str, instead: str) -> ImproperlyConfigured:
    """The error for this setting: what is wrong with it, and what to write."""
    return ImproperlyConfigured(f"{name} {what}. {instead}")


def shown(value: object) -> str:
    """A wrong value in a sentence."""
    text = str(value)
    return f"“{text[:SHOWN]}…”" if len(text) > SHOWN else f"“{text}”"


class Environment(environ.Env):
    """Django-environ's reader, which refuses what it would misread, each time with a sentence."""

    def read_files(self, name: str, default: str) -> None:
        """Take what the files of this setting say and the environment does not. Of several, some may be missing."""
        text = super().str(name, default=default)
        paths = [Path(one) for one in text.split(":")]
        try:
            if name in self and text and not any(path.exists() for path in paths):
                raise wrong(
                    name, f"names no file that is there: {shown(text)}", "Make it, or name another one."
                )
            for path in filter(Path.is_file, paths):
                self.read_env(io.StringIO(path.read_text("utf-8")))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            what = f"names a file that cannot be read: {shown(text)}: {why}"
            raise wrong(name, what, "Let the panel's user read it, or name another one.") from None

    def bool(self, name: str, default: bool) -> bool:
        """Yes or no."""
        text = super().str(name, default=str(default)).strip().lower()
        if text not in TRUE | FALSE and not text.isdecimal():
            raise wrong(
                name, f"is neither true nor false: {shown(text)}", f"Write {name}=true or {name}=false."
            )
        return text in TRUE or (text.isdecimal() and builtins.int(text) != 0)

    def int(
        self, name: str, default: builtins.int, *, least: builtins.int = 1, most: builtins.int = 2**62
    ) -> builtins.int:
        """A whole number, `least` to `most`."""
        text = super().str(name, default=str(default))
        number = _whole(text)
        if number is None or not least <= number <= most:
            limit = f"{least} or more" if most == 2**62 else f"{least} to {most}"
            what = f"is not a whole number of {limit}: {shown(text)}"
            raise wrong(name, what, f"Write one, such as {name}={default}, or leave it out.")
        return number

    def float(self, name: str, default: builtins.float) -> builtins.float:
        """A number that is not negative."""
        text = super().str(name, default=str(default))
        try:
            number = builtins.float(text.replace(",", "."))
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            what = f"is not a number of 0 or more: {shown(text)}"
            raise wrong(name, what, f"Write one, such as {name}={default:g}, or leave it out.")
        return number

    def dict(self, name: str, default: dict[str, str]) -> builtins.dict[str, str]:
        """Pairs `name=value`, with commas between."""
        text = super().str(name, default=",".join("=".join(pair) for pair in default.items()))
        found = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            key, sign, value = (piece.strip() for piece in part.partition("="))
            if not (key and sign):
                raise wrong(
                    name,
                    f"has {shown(part)}, which is not name=value",
                    f"Write {name}=name=value,name=value.",
                )
            found[key] = value
        return found

    def choice(self, name: str, default: str, among: Collection[str]) -> str:
        """One of these words."""
        text = super().str(name, default=default).strip()
        for word in among:
            if word.lower() == text.lower():
                return word
        what = f"is none of {', '.join(among)}: {shown(text)}"
        raise wrong(name, what, f"Write one of them, or leave {name} out.")

    def counts(self, name: str, default: builtins.dict[str, str]) -> builtins.dict[str, builtins.int]:
        """Whole numbers of 1 or more by name; those of the default must be among them."""
        pairs = self.dict(name, default=default)
        example = (
            f"Write {name}={','.join('='.join(pair) for pair in default.items())}, with your own numbers."
        )
        for key, text in pairs.items():
            if (_whole(text) or 0) < 1:
                raise wrong(
                    name, f"has {shown(f'{key}={text}')}, which is not a number of 1 or more", example
                )
        if missing := [key for key in default if key not in pairs]:
            raise wrong(name, f"lacks {' and '.join(missing)}", example)
        return {key: builtins.int(text) for key, text in pairs.items()}

    def time_zone(self, name: str, default: str) -> str:
        """The name of a time zone."""
        text = super().str(name, default=default).strip()
        try:
            known = bool(ZoneInfo(text)) and (not ZONES.is_dir() or (ZONES / text).is_file())
        except (ValueError, OSError, LookupError):
            known = False
        if not known:
            raise wrong(
                name, f"is not a time zone: {shown(text)}", f"Write one such as {name}=Europe/Berlin."
            )
        return text

    def folder(self, name: str, default: str) -> str:
        """The path of a folder, from the root on; it need not be there."""
        text = super().str(name, default=default).strip()
        if not text.startswith("/") or ".." in text.split("/") or not text.isprintable():
            what = f"is not a folder's path from / on: {shown(text)}"
            raise wrong(name, what, f"Write one such as {name}=/srv/backups.")
        return text

    def web_url(self, name: str, default: str) -> str:
        """An address whose parts can be read; `gestion.checks` looks closer."""
        text = super().str(name, default=default)
        if _parts(text) is None:
            raise wrong(name, "has a host or a port that is none", f"Write one such as {name}={default}.")
        return text

    def sender(self, name: str, default: str) -> str:
        """A mail address, with or without a name before it."""
        text = super().str(name, default=default).strip()
        if not all(text.rpartition("@")) or not text.isprintable():
            what = f"is not a mail address: {shown(text)}"
            raise wrong(name, what, f"Write one such as {name}=gestion@example.org.")
        return text

    def broker_url(self, name: str, schemes: Collection[str], example: str) -> str:
        """The address of a broker, or several with ; between; empty if it is not set."""
        text = super().str(name, default="").strip()
        for one in filter(None, text.split(";")):
            parts = _parts(one)
            scheme, _sign, socket = parts.scheme.partition("+") if parts else ("", "", "")
            number = parts.path.strip("/") if parts and scheme in {"redis", "rediss"} and not socket else ""
            if not parts or ":" not in one or scheme not in schemes or (number and not number.isdecimal()):
                raise wrong(name, "is not the address of a broker", f"Write one such as {name}={example}")
        return text

    def db_url(self, name: str, default: str) -> builtins.dict[str, Any]:
        """A database in Django's words. Empty counts as not set."""
        text = super().str(name, default="") or default
        instead = f"Write {name}=postgres://user:password@host/name, or leave it out for SQLite in DATA_DIR."
        scheme = text.partition("://")[0].lower()
        try:
            found: builtins.dict[str, Any] = self.db_url_config(text) if scheme in DATABASES else {}
        except ValueError:  # such as a port that is none
            found = {}
        if not found:
            raise wrong(name, "is not the address of a PostgreSQL or SQLite database", instead)
        if scheme != "sqlite":
            if not found["NAME"] and "service" not in found.get("OPTIONS", {}):
                raise wrong(name, "names no database", instead)
        elif not Path(found["NAME"]).parent.is_dir():
            raise wrong(
                name, f"is a file in a folder that is not there, {Path(found['NAME']).parent}", instead
            )
        return found

    def email_url(self, name: str, default: str) -> builtins.dict[str, Any]:
        """How mails are sent, in Django's words; `?tls=True` and `?ssl=True` count, unlike in django-environ."""
        text = super().str(name, default=default).strip()
        parts = _parts(text)
        instead = f"Write {name}=smtp+tls://user:password@host:587, or leave it out."
        if not parts or parts.scheme not in MAILS or (parts.scheme.startswith("smtp") and not parts.hostname):
            raise wrong(name, "is not the address of a mail server", instead)
        found: builtins.dict[str, Any] = self.email_url_config(text)
        options: builtins.dict[str, Any] = found.pop("OPTIONS", {})
        for option, value in options.items():
            setting = MAIL_OPTIONS.get(option.lower())
            if not setting or str(value).lower() not in TRUE | FALSE:
                raise wrong(name, "has something after its “?” that is not tls=True or ssl=True", instead)
            found[setting] = str(value).lower() in TRUE
        for setting in MAIL_OPTIONS.values():
            if isinstance(found.get(setting), str):
                found[setting] = found[setting].lower() in TRUE
        if found.get("EMAIL_USE_TLS") and found.get("EMAIL_USE_SSL"):
            raise wrong(name, "wants TLS and SSL at once", instead)
        return found


def made_folder(name: str, folder: Path, mode: builtins.int) -> Path:
    """The folder of this setting, made with this mode where it is not there yet."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
    except OSError as error:
        what = f"cannot be used: {folder}: {error.strerror}"
        raise wrong(name, what, "Set it to a folder that the panel's user may make and write in.") from None
    return folder


def _whole(text: str) -> builtins.int | None:
    try:
        return builtins.int(text)
    except ValueError:
        return None


def _parts(text: str) -> SplitResult | None:
    """The parts of an address; None where host or port are none."""
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    return parts
