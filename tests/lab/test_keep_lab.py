"""A run with `--keep-lab` ends at a failure, and its lab can be looked into; the next run begins anew."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Fleet
from lab.__main__ import main
from tests.lab.traces import traces
from tests.lab_fixtures import LAB_NAME, SECOND_NETWORK

pytestmark = pytest.mark.lab
KEPT = f"{LAB_NAME[:10]}-k"
TESTS = """
import pytest

pytestmark = pytest.mark.lab

def test_of_a_room_that_dirties(fleet):
    fleet["web1"].exec(["touch", "/srv/dirt"])

def test_that_finds_it_clean_and_fails(fleet):
    assert fleet["web1"].exec(["test", "-e", "/srv/dirt"]).returncode == 1
    fleet["web1"].exec(["touch", "/srv/mark"])
    assert {works}

def test_that_comes_later(fleet):
    assert fleet["web1"].exec(["test", "-e", "/srv/mark"]).returncode == 1
"""


@pytest.fixture(autouse=True)
def no_kept_lab(fleet: Fleet) -> Iterator[None]:
    """Each test begins and ends without that lab; `fleet` skips where there can be none."""
    main(["down", "--lab", KEPT])
    yield
    main(["down", "--lab", KEPT])


def run_tests(folder: Path, *options: str, works: bool) -> tuple[int, str]:
    """Run a room of three tests on a lab of its own, in another process: its exit code and its words."""
    (folder / "test_room.py").write_text(TESTS.format(works=works))
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n    lab: on real hosts\n    browser: none here\n"
    )
    environment = {**os.environ, "LAB_NAME": KEPT, "LAB_NETWORK": SECOND_NETWORK}
    environment.pop("PYTEST_XDIST_WORKER", None)
    given = ["-p", "tests.lab_fixtures", "-p", "no:django", "-p", "no:randomly", "--rootdir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", str(folder / "pytest.ini"), *given, *options, str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    return done.returncode, done.stdout + done.stderr


def test_a_failed_tests_lab_is_left_and_told_and_the_next_run_begins_anew(tmp_path: Path) -> None:
    code, words = run_tests(tmp_path, "--keep-lab", works=False)
    assert code, words
    assert "1 failed, 1 passed" in words
    assert f"python -m lab status --lab {KEPT}" in words
    kept = Fleet.find(KEPT)
    assert kept
    assert kept["web1"].exec(["ls", "/srv"]).stdout == b"mark\n"

    code, words = run_tests(tmp_path, works=True)
    assert code == 0, words
    assert "3 passed" in words
    assert traces(KEPT) == []


def test_without_it_a_failure_leaves_nothing(tmp_path: Path) -> None:
    code, words = run_tests(tmp_path, works=False)
    assert code, words
    assert "1 failed, 2 passed" in words
    assert traces(KEPT) == []
