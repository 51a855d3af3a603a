"""After the deadline no test begins, and what had no time is told."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.panel import ROOT

TESTS = """
import pytest

@pytest.fixture
def costly():
    open("costly", "a").write("x")

def test_a(costly):
    pass

def test_b(costly):
    pass

def test_c(costly):
    pass
"""


def run(folder: Path, until: str | None, *options: str) -> str:
    """Three tests with a fixture that leaves a file; returns what pytest says, once it ended well."""
    (folder / "test_three.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\n")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    env.pop("TESTS_UNTIL", None)
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.deadline",
        "-p",
        "no:django",
        "-p",
        "no:randomly",
        *options,
    ]
    env |= {"TESTS_UNTIL": until} if until else {}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_would_begin_too_late_is_left_out_before_its_fixtures_and_told(tmp_path, workers):
    told = run(tmp_path, str(time.time() - 1), "-n", workers)
    assert "3 tests had no time" in told
    assert "    3 test_three.py" in told
    assert not (tmp_path / "costly").exists()


def test_without_a_deadline_all_run(tmp_path):
    told = run(tmp_path, None)
    assert "3 passed" in told
    assert "no time" not in told
