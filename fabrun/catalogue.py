"""Which scripts there are: read anew whenever a file of the folder changes, so that new ones appear by themselves."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from fabrun.loading import Parameter, Script
from hosts.bounds import TooMuch, TooSlow
from hosts.programs import run_program

LIST_SECONDS = 30


@dataclass(frozen=True)
class Catalogue:
    """The scripts by name, and for each file that cannot be read the reason."""

    scripts: dict[str, Script] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


def folder() -> Path:
    """Where the scripts are: FABRIC_FOLDER."""
    return Path(settings.FABRIC_FOLDER)


def catalogue() -> Catalogue:
    """What the folder holds now."""
    return _read(str(folder()), _stamp(folder()))


def clean_environment() -> dict[str, str]:
    """The environment of a script: none of the panel's secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _stamp(place: Path) -> tuple[tuple[str, int, int], ...]:
    found = []
    for path in sorted(place.glob("*.py")) if place.is_dir() else ():
        about = path.stat()
        found.append((path.name, about.st_mtime_ns, about.st_size))
    return tuple(found)


@lru_cache(maxsize=4)
def _read(place: str, _stamp: tuple[tuple[str, int, int], ...]) -> Catalogue:
    # In a process of its own: a file of somebody's that loops or ends the process does not end the panel.
    argv = [sys.executable, "-m", "fabrun.child", "--list", place]
    try:
        done = run_program(argv, cwd=settings.BASE_DIR, env=clean_environment(), seconds=LIST_SECONDS)
        done.check_returncode()
        found = json.loads(done.stdout)
    except TooSlow:
        return Catalogue(broken={place: _("Reading the scripts took longer than %d seconds.") % LIST_SECONDS})
    except (subprocess.CalledProcessError, ValueError, TooMuch):
        return Catalogue(broken={place: _("A script ends or prints something while it is only being read.")})
    scripts = [
        Script(
            item["name"],
            item["doc"],
            tuple(item["markers"]),
            tuple(Parameter(**parameter) for parameter in item["parameters"]),
        )
        for item in found["scripts"]
    ]
    return Catalogue({script.name: script for script in scripts}, found["broken"])
