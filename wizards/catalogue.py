"""Which wizards there are: the modules of `wizards/wizards/`, and those of WIZARDS_FOLDER, read anew when they change.

A file that cannot be read breaks itself alone: the page says which one, where, and why.
"""

import importlib.util
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from django.conf import settings
from django.utils.translation import gettext as _

from wizards import wizards as package
from wizards.by_number import AnyWizard, from_class
from wizards.declare import Wizard
from wizards.trouble import WHATEVER, Broken, where
from wizards.trying import try_files

Stamp = tuple[int, int]

SECONDS = 10.0  # that reading a file may take
AGAIN_SECONDS = (
    300.0  # after which one that could not be read is tried again: what it lacked may be there now
)
OURS = {"create_user", "create_vm", "retire_server"}
OWN_PREFIX = "own_wizards_"  # of the module names of files in WIZARDS_FOLDER
_lock = threading.RLock()


@dataclass(frozen=True)
class Catalogue:
    """The wizards by slug, and for each file (or class) that cannot be used the reason."""

    wizards: dict[str, AnyWizard] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _File:
    stamp: Stamp
    found: tuple[AnyWizard, ...] = ()
    broken: str = ""
    read_at: float = field(default_factory=time.monotonic)


_files: dict[Path, _File] = {}


class _Fresh(SourceFileLoader):
    """Reads the file as it is now, and leaves no byte code beside it."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def own_folder() -> Path | None:
    """WIZARDS_FOLDER, if it is set."""
    return Path(settings.WIZARDS_FOLDER) if settings.WIZARDS_FOLDER else None


def catalogue() -> Catalogue:
    """What the folders hold now."""
    result = Catalogue()
    with _lock:
        tried = _try_new(_paths())
        for path in filter(Path.is_file, tried):
            read = _read(path, tried[path])
            if read.broken:
                result.broken[path.name] = read.broken
            for wizard in read.found:
                if wizard.slug in result.wizards:
                    result.broken[path.name] = _("There is another wizard “%s” already.") % wizard.slug
                else:
                    result.wizards[wizard.slug] = wizard
    return result


def get(slug: str) -> AnyWizard:
    """The wizard of this slug. Raises Broken, with the reasons of the files that cannot be read."""
    found = catalogue()
    if slug not in found.wizards:
        reasons = "; ".join(found.broken.values())
        sentence = _("There is no wizard “%s” (any more).") % slug
        raise Broken(f"{sentence} {reasons}".strip())
    return found.wizards[slug]


def own_file_of(slug: str) -> Path | None:
    """The file of WIZARDS_FOLDER that has this wizard; None for those of the panel itself."""
    own = own_folder()
    for path, file in _files.items():  # also those that have another name by now
        if path.parent == own and path.exists() and any(wizard.slug == slug for wizard in file.found):
            return path
    return None


def own_file_in(error: BaseException) -> Path | None:
    """The file of WIZARDS_FOLDER that was at work when something went wrong; None if none was."""
    folder = own_folder()
    files = [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]
    return next((file for file in reversed(files) if file.parent == folder), None)


def _paths() -> list[Path]:
    folders = [Path(package.__path__[0])]
    own = own_folder()
    if own is not None and own.is_dir():
        folders.append(own)
    return [path for folder in folders for path in sorted(folder.glob("[A-Za-z]*.py")) if path.is_file()]


def _try_new(paths: list[Path]) -> dict[Path, Stamp]:
    """Read those that are new or have changed in another process first; what is no good there is not read here.

    As long as they are as they came, those of the panel itself are known to be good. Returns when each was written that
    may be read here.
    """
    own = Path(package.__path__[0])
    stamps = {path: _stamp(path) for path in paths}
    new = {path: stamp for path, stamp in stamps.items() if stamp != _known(path)}
    doubtful = [path for path in new if not (path.parent == own and path.stem in OURS and path not in _files)]
    for path, why in try_files(doubtful, SECONDS).items() if doubtful else ():
        if why:
            _files[path] = _File(new[path], broken=why)
    return stamps


def _stamp(path: Path) -> Stamp:
    """When it was written and how long it is; of one that has gone meanwhile, nothing."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return 0, 0
    return about.st_mtime_ns, about.st_size


def _known(path: Path) -> Stamp | None:
    """When it was written, of one that need not be read now."""
    file = _files.get(path)
    if file is None or (file.broken and time.monotonic() - file.read_at > AGAIN_SECONDS):
        return None
    return file.stamp


def _read(path: Path, stamp: Stamp) -> _File:
    """What is in a file that was tried as it was then; of one that was written since, what is known of it."""
    if _known(path) != stamp and _stamp(path) == stamp:
        _files[path] = _load(path, stamp)
    return _files.get(path, _File(stamp))


def why_not(path: Path) -> str:
    """Why a file cannot be used, "" where it can: reads it in this process."""
    return _load(path, _stamp(path)).broken


def _load(path: Path, stamp: Stamp) -> _File:
    try:
        module = _import(path)
        found: list[AnyWizard] = []
        for item in vars(module).values():
            if isinstance(item, Wizard):
                found.append(item)
            elif _is_class_of(item, module):
                found.append(from_class(item, path))
    except Broken as error:
        return _File(stamp, broken=str(error))
    except WHATEVER as error:
        return _File(stamp, broken=where(error, path))
    return _File(stamp, tuple(found))


def _is_class_of(item: object, module: ModuleType) -> bool:
    base = package._Wizard
    return isinstance(item, type) and issubclass(item, base) and item.__module__ == module.__name__


def _import(path: Path) -> ModuleType:
    inside = path.parent == Path(package.__path__[0])
    name = f"{package.__name__}.{path.stem}" if inside else OWN_PREFIX + path.stem
    if inside and name in sys.modules and path not in _files:
        return sys.modules[name]  # somebody has imported it by its name
    # Not importlib.reload, which would leave what the file does not define any more.
    spec = importlib.util.spec_from_file_location(name, path, loader=_Fresh(name, str(path)))
    if spec is None or spec.loader is None:
        raise Broken(_("%s cannot be read.") % path.name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
