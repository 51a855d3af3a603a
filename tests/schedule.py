"""Side by side (`-n N --dist loadfile`), the files that take longest begin first, so that none is left for the end.

How long each takes is kept in `durations.json`, which `make durations` writes anew; one that is not in there counts
as the mean. Files of about the same length keep the order in which they come, which is by chance.
"""

import json
from collections import Counter
from collections.abc import Iterable
from math import log2
from pathlib import Path
from zlib import crc32

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

CUT = {"tests/browser/test_pages.py": 3, "tests/gestion/test_every_url.py": 4}
"""Into how many parts a file is cut that would take too long for one process, and shares little among its tests."""

SHORT_SECONDS = 2
"""Files shorter than this need no order: wherever they run, they fill a gap."""


def part_of(nodeid: str) -> str:
    """What is handed to one process as a whole: the test's file, or a part of it, always the same one."""
    file = nodeid.partition("::")[0]
    return f"{file}#{crc32(nodeid.encode()) % CUT[file]}" if file in CUT else file


def size(part: str, seconds: dict[str, float]) -> int:
    """How long a part takes, in powers of two: nearer than that, no two runs agree."""
    file = part.partition("#")[0]
    mean = sum(seconds.values()) / max(len(seconds), 1)
    return round(log2(max(seconds.get(file, mean) / CUT.get(file, 1), SHORT_SECONDS)))


def read(folder: Path) -> dict[str, float]:
    """The kept seconds of each file below the root folder; none where nothing is kept."""
    kept = folder / "tests" / "durations.json"
    return json.loads(kept.read_text()) if kept.exists() else {}


def write(folder: Path, measured: dict[str, float]) -> None:
    """Keep what was measured; files that did not run keep what they had, files that are gone are left out."""
    kept = {**read(folder), **{file: round(seconds) for file, seconds in measured.items()}}
    there = {file: kept[file] for file in sorted(kept) if (folder / file).exists()}
    (folder / "tests" / "durations.json").write_text(json.dumps(there, indent=1) + "\n")


class LongestFirst(LoadFileScheduling):
    """Hands out parts in the order of the collection, which `pytest_collection_modifyitems` makes below."""

    def _split_scope(self, nodeid: str) -> str:
        return part_of(nodeid)

    def schedule(self) -> None:
        """Hand out; pytest-xdist would by itself put the files with the most tests first."""
        self.config.option.loadscopereorder = False
        super().schedule()


class Clock:
    """Adds up what the tests of each file take, with what their fixtures take."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count one phase of one test."""
        self.seconds[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]

    def pytest_sessionfinish(self) -> None:
        """Write it down."""
        write(self.folder, dict(self.seconds))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make durations` ask for new ones."""
    parser.addoption(
        "--keep-durations", action="store_true", help="note in tests/durations.json what each file took"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Measure where it is asked for, in the process that hears of all tests."""
    if config.getoption("--keep-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Clock(config.rootpath))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LongestFirst | None:
    """Take the place of pytest-xdist's own scheduler for files."""
    return LongestFirst(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest first where several processes share the tests, after all others have ordered them."""
    if hasattr(config, "workerinput"):
        items[:] = longest_first(items, read(config.rootpath))


def longest_first(items: Iterable[pytest.Item], seconds: dict[str, float]) -> list[pytest.Item]:
    """These tests by the length of their files."""
    return sorted(items, key=lambda item: -size(part_of(item.nodeid), seconds))
