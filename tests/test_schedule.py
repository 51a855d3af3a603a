"""Longest first, and no test lost: the scheduler at work in a pytest of its own, with two processes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.panel import ROOT
from tests.schedule import CUT, part_of, size, write

ONE = "import pathlib, time\n\ndef test_it():\n    time.sleep({seconds})\n"
MANY = "import pytest\n\n@pytest.mark.parametrize('n', range(30))\ndef test_it(n):\n    pass\n"


@pytest.fixture
def suite(tmp_path) -> Path:
    """A long test last in the alphabet, and files with more tests that take nothing."""
    tests = tmp_path / "tests"
    tests.mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for letter in "abcdef":
        (tests / f"test_{letter}.py").write_text(MANY)
    (tests / "test_z.py").write_text(ONE.format(seconds=2))
    return tmp_path


def run(suite: Path, *options: str) -> str:
    """What pytest says of this suite in two processes."""
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.schedule",
        "-p",
        "no:django",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(
        [*argv, "-n", "2", "--dist", "loadfile", "-v", *options],
        cwd=suite,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def first_files(said: str) -> set[str]:
    """The files that the processes began with; which of the two is heard of sooner is chance."""
    ended = re.findall(r"^\[(gw\d)\].* PASSED (tests/test_\w+\.py)", said, re.MULTILINE)
    assert {worker for worker, _file in ended} == {"gw0", "gw1"}
    return {next(file for other, file in ended if other == worker) for worker in ("gw0", "gw1")}


def test_what_was_measured_to_be_longest_begins_first(suite):
    (suite / "tests/durations.json").write_text(json.dumps({"tests/test_z.py": 60, "tests/test_a.py": 0}))
    said = run(suite, "--keep-durations")
    assert "181 passed" in said
    assert "units waiting" not in said  # what the scheduler notes for those who mend it
    assert "tests/test_z.py" in first_files(said)
    kept = json.loads((suite / "tests/durations.json").read_text())
    assert kept["tests/test_z.py"] in {2, 3, 4, 5, 6}
    assert kept["tests/test_a.py"] < kept["tests/test_z.py"]


def test_a_file_that_nobody_measured_counts_as_the_mean():
    seconds = {"long.py": 60.0, "short.py": 4.0}
    assert size("short.py", seconds) < size("new.py", seconds) <= size("long.py", seconds)
    assert size("new.py", {}) == size("other.py", {})


def test_a_cut_file_is_handed_out_in_parts_that_never_change():
    file = next(iter(CUT))
    parts = [part_of(f"{file}::test[{number}]") for number in range(100)]
    assert len(set(parts)) == CUT[file]
    assert parts == [part_of(f"{file}::test[{number}]") for number in range(100)]
    assert part_of("tests/jobs/test_pages.py::test_it[a]") == "tests/jobs/test_pages.py"


def test_files_that_are_cut_are_there():
    assert [file for file in CUT if not (ROOT / file).exists()] == []


def test_files_that_did_not_run_keep_what_they_had_and_those_that_are_gone_are_left_out(suite):
    write(suite, {"tests/test_z.py": 3.4, "tests/test_a.py": 1.0, "tests/test_gone.py": 5.0})
    write(suite, {"tests/test_z.py": 7.6})
    assert json.loads((suite / "tests/durations.json").read_text()) == {
        "tests/test_a.py": 1,
        "tests/test_z.py": 8,
    }
