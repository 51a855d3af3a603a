"""Reads Fabric scripts from a folder. Plain Python without Django: it runs in processes of its own.

Each `NAME.py` of the folder whose name begins with a letter is a module of tasks; `fabfile.py` is for `fab` itself.
"""

import inspect
import re
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any

from invoke.tasks import Task

from fabrun.older import advice

FABFILE = "fabfile.py"
FROM_FABRIC_1 = "“from fabric."  # as advice begins that tells of a module of Fabric 1
MARKER = re.compile(r"\[\$AG:([A-Za-z]+)\]")
_ASKED = (str, int, float, PurePath)
_KINDS = ("bool", "int", "float", "str")
_OR_NONE = {"None", "Optional", "Union"}


@dataclass(frozen=True)
class Parameter:
    """One argument of a task: `kind` is bool, int, float or str; `default` is None for one that must be given."""

    name: str
    kind: str
    default: Any
    required: bool


@dataclass(frozen=True)
class Script:
    """One task, by the name under which `fab` knows it, such as server.setup."""

    name: str
    doc: str
    markers: tuple[str, ...]
    parameters: tuple[Parameter, ...]


def describe(path: Path) -> dict[str, Any]:
    """The tasks of one file as JSON-able data, or why it cannot be read, with the line."""
    if path.name == FABFILE:
        words = to_change(path)
        return {"broken": words} if words else {}
    try:
        found = list(tasks(path.stem, load(path)))
        good = [asdict(_script(name, task)) for name, task in found if not _why_not(task)]
        refused = [f"{path.name}: {words}" for _name, task in found if (words := _why_not(task))]
        if not found and FROM_FABRIC_1 in (words := to_change(path)):
            refused = [words]  # its imports stand within its functions, so that it could be read
        return {"scripts": good, **({"broken": "\n".join(refused)} if refused else {})}
    except BaseException as error:  # noqa: BLE001  # whatever somebody's file raises breaks that file alone
        why = where(error, path)
        return {"broken": to_change(path, why) or why}


def files(folder: Path) -> list[Path]:
    """The modules of the folder, by name."""
    found = [path for path in sorted(folder.glob("[A-Za-z]*.py")) if path.stem.isidentifier()]
    return [path for path in found if path.name != FABFILE]


def load(path: Path) -> ModuleType:
    """Import a module of the folder; its neighbours can be imported by it."""
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be read")
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def tasks(prefix: str, module: ModuleType) -> Iterator[tuple[str, Task]]:
    """The tasks that the module itself makes, in the order of the file, with their full names."""
    own = [item for item in vars(module).values() if isinstance(item, Task)]
    for task in own:
        if task.body.__module__ == module.__name__:
            yield f"{prefix}.{task.name}", task


def find(folder: Path, name: str) -> Task:
    """The task of this name. Raises LookupError."""
    stem = name.partition(".")[0]
    for path in files(folder):
        if path.stem == stem:
            for found, task in tasks(stem, load(path)):
                if found == name:
                    return task
    raise LookupError(f"There is no script {name} in {folder}.")


def _why_not(task: Task) -> str:
    """Why a task cannot be run here as it says of itself; a half of it would be called done."""
    if task.pre or task.post:
        words = "wants other tasks before or after it (pre=, post=), which do not run here: call them in it."
        return f"{task.name} {words}"
    if task.iterable:
        return f"{task.name} wants a list (iterable=), which no form asks for: take a text, and split it."
    return ""


def _script(name: str, task: Task) -> Script:
    doc = inspect.cleandoc(task.body.__doc__ or "")
    markers = tuple(dict.fromkeys(MARKER.findall(doc)))
    given = list(inspect.signature(task.body).parameters.values())[1:]
    parameters = tuple(_parameter(item) for item in given if _is_asked(item))
    return Script(name, MARKER.sub("", doc).strip(), markers, parameters)


def _is_asked(item: inspect.Parameter) -> bool:
    """Whether a form can ask for it; a default that is no text, number or place (a list, say) stays what it is."""
    if item.kind in {item.VAR_KEYWORD, item.VAR_POSITIONAL}:
        return False
    return item.default is item.empty or item.default is None or isinstance(item.default, _ASKED)


def _parameter(item: inspect.Parameter) -> Parameter:
    required = item.default is item.empty
    default = None if required else item.default
    kind = _annotated(item) or type(default).__name__
    if kind not in _KINDS:
        kind = "str"
    if kind == "str" and default is not None:
        default = str(default)
    return Parameter(item.name, kind, default, required)


def _annotated(item: inspect.Parameter) -> str:
    """The kind that its annotation says, alone or beside None; read as a text, which it may be, of names not there."""
    said = item.annotation
    text = said if isinstance(said, str) else inspect.formatannotation(said)
    kinds = set(re.findall(r"\w+", re.sub(r"\w+\.", "", text))) - _OR_NONE
    return kinds.pop() if len(kinds) == 1 and kinds <= set(_KINDS) else ""


def as_defaults(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """What a form gave for a task's arguments: a place as a Path, as its default is."""
    found = dict(given)
    for name, item in inspect.signature(task.body).parameters.items():
        if name in given and isinstance(item.default, PurePath):
            found[name] = type(item.default)(given[name]) if given[name] else item.default
    return found


def to_change(path: Path, error: str = "") -> str:
    """What is to change in a script of Fabric 1 or Python 2, a line each; empty for another one.

    `error` is what came of reading it as it is: what is to change need not be all that is wrong with it.
    """
    try:
        text = path.read_text(errors="replace")
        beside = {
            other.stem for other in path.parent.iterdir() if other.suffix == ".py" or other.is_dir()
        }  # modules and packages
    except OSError:
        return ""
    found = advice(text, path.name, beside)
    head = f"{path.name} is written for Fabric 1 or Python 2. To change:"
    end = [f"As it is: {error}"] if error else []
    return "\n".join([head, *found, *end]) if found else ""


def where(error: BaseException, path: Path) -> str:
    """What went wrong in a file and in which line of it."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    place = f"{path.name}, line {lines[-1]}" if lines and lines[-1] else path.name
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{place}: {type(error).__name__}: {words}"
