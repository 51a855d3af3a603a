"""More processes than there are labs for are refused in a sentence."""

import subprocess
import sys

import pytest

from tests.panel import ROOT


@pytest.mark.parametrize(("count", "code"), [("7", 4), ("6", 0)])
def test_more_than_six_processes_are_told_how_many_there_can_be(count: str, code: int) -> None:
    argv = [sys.executable, "-m", "pytest", "-n", count, "--co", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("Run it with -n 6." in done.stderr) == (code == 4)
    assert "IndexError" not in done.stdout + done.stderr
