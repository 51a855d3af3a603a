"""A run that asks for marked tests alone (`-m "lab or browser"`) reads the files that have some, and no others.

Importing every file takes each process of such a run ten seconds. So the mark of a test stands in its own file, which
the runs that read every file hold: one that came from elsewhere would be missed here, and ends them.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

KINDS = ("lab", "browser", "services")


def has_mark(file: Path, kind: str) -> bool:
    """Whether a file of tests marks any of them so."""
    return f"mark.{kind}" in file.read_text()


def asked_for(expression: str) -> list[str]:
    """The marks that an expression of `-m` asks for; none where tests without a mark may be asked for as well."""
    found = expression.split(" or ")
    return found if all(kind in KINDS for kind in found) else []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Pass by a file in which no test has a mark that is asked for."""
    kinds = asked_for(config.getoption("markexpr"))
    if not kinds or collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    return True if not any(has_mark(collection_path, kind) for kind in kinds) else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Raise UsageError if a test, also one left out, has one of these marks from elsewhere than its own file."""
    collected = list(items)
    yield
    marked = {
        (item.path, mark.name) for item in collected for mark in item.iter_markers() if mark.name in KINDS
    }
    elsewhere = [f"{path}: mark.{kind}" for path, kind in sorted(marked) if not has_mark(path, kind)]
    if elsewhere:
        raise pytest.UsageError("Write the mark into the file of the test:", *elsewhere)
