"""A pytest plugin: after the time in TESTS_UNTIL (seconds of the epoch) no further test begins.

Those that had no time are skipped, and the files that they are in are told at the end.
"""

import os
import time
from collections import Counter

import pytest

REASON = "no time left"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Skip what would begin too late, before any of its fixtures is made."""
    if time.time() >= float(os.environ.get("TESTS_UNTIL") or "inf"):
        pytest.skip(REASON)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many tests of which files had no time."""
    skipped = terminalreporter.stats.get("skipped", [])
    late = [
        report for report in skipped if isinstance(report.longrepr, tuple) and REASON in report.longrepr[2]
    ]
    if late:
        terminalreporter.section(f"{len(late)} tests had no time")
        for file, count in sorted(Counter(report.nodeid.partition("::")[0] for report in late).items()):
            terminalreporter.write_line(f"{count:5} {file}")
