"""Which tests a change asks for: the paths that git says changed, and for each test file why it is to run.

A test file is asked for by (in this order, in which they run too):
1. itself having changed;
2. testing the room that changed, and importing the changed module;
3. testing the room that changed;
4. importing the changed module from another room, or reading a changed file by its name.
Imports count as far as tests and what they share go; who imports the changed module within the panel is not asked.
"""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from tests.schedule import read as kept_durations

ROOMS = {"fabfiles": "fabrun", "static": "pages"}
"""Folders whose tests have another name than they."""

STARTS_SERVICES = "tests.services"


@dataclass
class Choice:
    """What to run, with the reason of each; what was left out, likewise; which paths no test knows."""

    run: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def base_of(root: Path) -> tuple[str, str]:
    """The commit to compare with and how it was found. Raises CalledProcessError outside a git repository."""
    for other in ("@{upstream}", "origin/main", "main"):
        found = _git(root, "merge-base", "HEAD", other, check=False)
        if found:
            return found[0], f"where the branch left {other}"
    return _git(root, "rev-parse", "HEAD")[0], "the last commit"


def changed_paths(root: Path, base: str) -> list[str]:
    """Paths that differ from a commit: committed since, staged, unstaged, untracked, deleted; of a move both."""
    diff = ("diff", "--name-only", "--no-renames", "-z", base)
    untracked = ("ls-files", "--others", "--exclude-standard", "-z")
    return sorted({*_git(root, *diff), *_git(root, *diff, "--cached"), *_git(root, *untracked)})


def _git(root: Path, *words: str, check: bool = True) -> list[str]:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=check)
    return done.stdout.replace("\0", "\n").splitlines() if done.returncode == 0 else []


def module_of(path: str) -> str:
    """The name by which a Python file is imported, empty for other files."""
    pure = PurePath(path)
    parts = pure.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) if pure.suffix == ".py" else ""


def is_test(path: str) -> bool:
    """Whether pytest collects this file."""
    return PurePath(path).match("test_*.py")


class Tests:
    """The Python files below tests/ of a working tree, and what each imports."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.text = {
            str(path.relative_to(root)): path.read_text(encoding="utf-8")
            for path in sorted(root.glob("tests/**/*.py"))
        }

    @cached_property
    def imports(self) -> dict[str, set[str]]:
        """The modules that each file names in imports, and what it takes from them."""
        return {path: set(_imports(path, text)) for path, text in self.text.items()}

    def importing(self, module: str) -> set[str]:
        """Files that import a module, by themselves or through others below tests/."""
        found = {path for path, names in self.imports.items() if module in names}
        new = found
        while new:
            modules = {module_of(path) for path in new if not is_test(path)} - {""}
            new = {path for path, names in self.imports.items() if modules & names} - found
            found = found | new
        return found

    def naming(self, path: str) -> set[str]:
        """Files in whose text a path stands, or its last part, or, of data below tests/, the folder of its kind."""
        words = [path, f'"{PurePath(path).name}"', f"/{PurePath(path).name}"]
        if path.startswith("tests/"):
            folder = PurePath(path).parts[1:3]  # golden/nat of tests/golden/nat/small/nat-vz
            words = ["/".join(folder), " / ".join(f'"{part}"' for part in folder)]
        return {file for file, text in self.text.items() if any(word in text for word in words)}

    def below(self, folder: str) -> set[str]:
        """Test files of a folder."""
        return {path for path in self.text if is_test(path) and path.startswith(f"{folder}/")}


def _imports(path: str, text: str) -> Iterator[str]:
    package = module_of(path).split(".")
    if not path.endswith("__init__.py"):
        package = package[:-1]
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            name = ".".join([*above, *filter(None, [node.module])])
            yield name
            yield from (f"{name}.{alias.name}" for alias in node.names)


def room_of(root: Path, path: str) -> str:
    """The folder of tests for a path's room; empty where it has none."""
    parts = PurePath(path).parts
    if parts[0] in {"tests", "templates"}:
        parts = parts[1:]
    folder = f"tests/{ROOMS.get(parts[0], parts[0])}"
    return folder if len(parts) > 1 and (root / folder).is_dir() else ""


def choose(root: Path, paths: Iterable[str]) -> Choice:
    """What a change of these paths asks for, in the order in which to run it."""
    tests = Tests(root)
    ranks: dict[str, tuple[int, str]] = {}
    choice = Choice()
    for path in paths:
        asked = _asked(tests, path)
        if not asked:
            choice.unknown.append(path)
        for file, reason in asked.items():
            ranks[file] = min(reason, ranks.get(file, reason))
    services = tests.importing(STARTS_SERVICES)
    seconds = kept_durations(root)
    for file in sorted(ranks, key=lambda file: (ranks[file][0], seconds.get(file, 0), file)):
        if file in services:
            choice.left_out[file] = "starts PostgreSQL and Redis"
        else:
            choice.run[file] = ranks[file][1]
    return choice


def _asked(tests: Tests, path: str) -> dict[str, tuple[int, str]]:
    """For each test file that one changed path asks for, its rank and the reason."""
    if is_test(path):
        return {path: (1, "changed")} if path in tests.text else {}
    module = module_of(path)
    room = room_of(tests.root, path)
    own = tests.below(room) if room else set()
    if PurePath(path).name == "conftest.py":
        own, module = tests.below(str(PurePath(path).parent)), ""
    importing = {file for file in tests.importing(module) if is_test(file)} if module else set()
    naming = set() if module else {file for file in tests.naming(path) if is_test(file)}
    return {
        **dict.fromkeys(naming, (4, f"reads {path}")),
        **dict.fromkeys(importing, (4, f"imports {module}")),
        **dict.fromkeys(own, (3, f"its room has {path}")),
        **dict.fromkeys(own & importing, (2, f"imports {module}")),
    }
