"""Which test runs which line, in this process: a pytest plugin that writes it to the file in MUTANTS_SIGHT.

Coverage.py is switched to a context of its own for each test (its "dynamic contexts").
"""

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from tests.mutants import chosen

ROOT = Path.cwd()
_seconds: dict[str, float] = {}
_failed: set[str] = set()
_coverage = coverage.Coverage(data_file=None, include=[str(ROOT / name) for name in chosen.code(ROOT)])


@dataclass(frozen=True)
class Sight:
    """`lines`: by file and line the tests that run it; `seconds`: how long each passing test took."""

    lines: dict[str, dict[int, list[str]]]
    seconds: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> "Sight":
        """From the file that the plugin wrote."""
        found = json.loads(path.read_text())
        lines = {
            name: {int(line): tests for line, tests in per_line.items()}
            for name, per_line in found["lines"].items()
        }
        return cls(lines, found["seconds"])

    def of_files(self, files: set[str]) -> "Sight":
        """What the tests of these files see."""
        return Sight(
            {
                name: {
                    int(line): [one for one in tests if _file(one) in files]
                    for line, tests in per_line.items()
                }
                for name, per_line in self.lines.items()
            },
            {test: took for test, took in self.seconds.items() if _file(test) in files},
        )

    def code_by_file(self) -> dict[str, set[str]]:
        """The files of code that the tests of each file ran."""
        ran: dict[str, set[str]] = defaultdict(set)
        for name, per_line in self.lines.items():
            for tests in per_line.values():
                for test in tests:
                    ran[_file(test)].add(name)
        return ran

    def with_more(self, other: "Sight") -> "Sight":
        """What the tests of both see."""
        lines = {
            name: {
                line: [*self.lines.get(name, {}).get(line, []), *per_line.get(line, [])]
                for line in {*self.lines.get(name, {}), *per_line}
            }
            for name, per_line in other.lines.items()
        }
        return Sight(lines, {**self.seconds, **other.seconds})

    def tests_in(self, file: str) -> list[str]:
        """The passing tests of one file, quickest first."""
        return sorted((one for one in self.seconds if _file(one) == file), key=lambda one: self.seconds[one])

    def tests_of(self, name: str, first: int, last: int) -> list[str]:
        """The tests that run any of these lines of a file, quickest first."""
        per_line = self.lines.get(name, {})
        tests = {test for line in range(first, last + 1) for test in per_line.get(line, ())}
        return sorted(tests, key=lambda test: (self.seconds[test], test))


def _file(test: str) -> str:
    return test.partition("::")[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Tell coverage whose lines come now."""
    _coverage.switch_context(item.nodeid)
    try:
        return (yield)
    finally:
        _coverage.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep how long a test took with its fixtures, and whether it passed."""
    _seconds[report.nodeid] = round(_seconds.get(report.nodeid, 0.0) + report.duration, 4)
    if not report.passed:
        _failed.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write what was seen; a test that failed or was skipped sees nothing."""
    _coverage.stop()
    data = _coverage.get_data()
    lines = {}
    for name in chosen.code(ROOT):
        per_line = data.contexts_by_lineno(str(ROOT / name))
        lines[name] = {line: sorted(set(tests) - _failed - {""}) for line, tests in sorted(per_line.items())}
    seconds = {test: took for test, took in _seconds.items() if test not in _failed}
    Path(os.environ["MUTANTS_SIGHT"]).write_text(json.dumps({"lines": lines, "seconds": seconds}))


if "MUTANTS_SIGHT" in os.environ:
    _coverage.start()
