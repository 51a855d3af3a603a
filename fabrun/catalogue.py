"""Which scripts there are: read anew whenever a file of the folder changes, so that new ones appear by themselves."""

import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from fabrun.loading import FABFILE, Parameter, Script, files
from hosts import apart

SECONDS = 10.0  # that reading a file may take
AGAIN_SECONDS = 300.0  # after which what could not be read is tried again: what it lacked may be there now
Stamp = tuple[tuple[str, int, int], ...]
_lock = threading.Lock()


@dataclass(frozen=True)
class Catalogue:
    """The scripts by name, and for each file that cannot be read the reason."""

    scripts: dict[str, Script] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)
    read_at: float = field(default_factory=time.monotonic)


def folder() -> Path:
    """Where the scripts are: FABRIC_FOLDER."""
    return Path(settings.FABRIC_FOLDER)


def catalogue() -> Catalogue:
    """What the folder holds now."""
    place = folder()
    found = _read(place, _stamp(place))
    return Catalogue(found.scripts, {**found.broken, **_out_of_place(place)})


def _out_of_place(place: Path) -> dict[str, str]:
    """Files whose name or place keeps them from being read as scripts."""
    words = _("a file of this name cannot be imported: use letters, digits and “_”.")
    nameless = [path.name for path in sorted(place.glob("[A-Za-z]*.py")) if not path.stem.isidentifier()]
    told = {name: f"{name}: {words}" for name in nameless}
    if (place / "fabfile" / "__init__.py").is_file():  # as Fabric 1 had it
        told["fabfile/"] = _(
            "fabfile/: the files of a package are not read: put them into the folder itself."
        )
    return told


def why_none(found: Catalogue, name: str) -> str:
    """The sentence for a script that is not there, with the reason if its file cannot be read."""
    why = found.broken.get(f"{name.partition('.')[0]}.py", "")
    return f"{_('There is no script “%s” any more.') % name} {why}".strip()


def of_script(name: str) -> Catalogue:
    """What the file holds that this script is in: no other is waited for."""
    place = folder()
    return _read(place, _stamp(place), name.partition(".")[0])


def clean_environment() -> dict[str, str]:
    """The environment of a script: none of the panel's secrets."""
    kept = ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def why_unread(path: Path, ended: dict[str, str], seconds: float) -> str:
    """The sentence for a file whose process ended while it was read (hosts/apart.py)."""
    if ended["why"] == apart.ENDS:
        return _("%s ends the process that reads it.") % path.name
    told = {"file": path.name, "line": ended["line"], "seconds": seconds}
    return _("%(file)s, line %(line)s: not read to its end within %(seconds)d seconds.") % told


def _stamp(place: Path) -> Stamp:
    """When each file was written and how long it is. One may import another, so that all are read anew together."""
    found = []
    for path in sorted(_importable(place)):
        try:
            about = path.stat()
        except OSError:  # gone meanwhile, or a link that leads nowhere
            found.append((str(path), 0, 0))
        else:
            found.append((str(path), about.st_mtime_ns, about.st_size))
    return tuple(found)


def _importable(place: Path) -> Iterator[Path]:
    """The files of a folder and of the packages in it; folders such as .git have no name that could be imported."""
    for here, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name.isidentifier() and name != "__pycache__"]
        yield from (Path(here, name) for name in names if name.endswith(".py"))


def _read(place: Path, stamp: Stamp, stem: str = "") -> Catalogue:
    with _lock:  # whoever asks meanwhile has the same answer
        found = _read_once(place, stamp, stem)
        if found.broken and time.monotonic() - found.read_at > AGAIN_SECONDS:
            _read_once.cache_clear()
            found = _read_once(place, stamp, stem)
        return found


@lru_cache(maxsize=64)
def _read_once(place: Path, _stamp: Stamp, stem: str) -> Catalogue:
    fabfile = [place / FABFILE] if (place / FABFILE).is_file() else []
    paths = [path for path in (*files(place), *fabfile) if stem in {"", path.stem}]
    found = Catalogue()
    for path, said in _told(paths).items():
        if "why" in said:
            found.broken[path.name] = why_unread(path, said, SECONDS)
        elif "broken" in said:
            found.broken[path.name] = said["broken"]
        for item in said.get("scripts", ()):
            found.scripts[item["name"]] = _script(item)
    return found


def _told(paths: Sequence[Path]) -> dict[Path, Any]:
    if not paths:
        return {}
    argv = [sys.executable, "-m", "fabrun.child", "--list", str(SECONDS)]
    try:
        return apart.from_helper(argv, paths, SECONDS, cwd=settings.BASE_DIR, env=clean_environment())
    except (ValueError, OSError) as error:
        return {path: {"broken": f"{path.name}: {error}"} for path in paths}


def _script(item: dict[str, Any]) -> Script:
    parameters = tuple(Parameter(**parameter) for parameter in item["parameters"])
    return Script(item["name"], item["doc"], tuple(item["markers"]), parameters)
