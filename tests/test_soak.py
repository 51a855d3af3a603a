"""Rounds of a small pytest project in a folder of its own: what fails now and then is counted, with its seeds."""

import os
import re
import subprocess
import sys

import psutil
import pytest

from tests import soak
from tests.panel import ROOT

TESTS = """
import os
import pathlib
import pytest

def times(name):
    path = pathlib.Path(name)
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    return len(path.read_text())

class TestClass:
    @pytest.mark.parametrize("what", ["a.b", "c"])
    def test_each_second_time(self, what):
        assert times(what) % 2 or what == "c"

def test_well():
    pass

def test_never():
    pytest.skip("not here")

@pytest.fixture
def broken():
    assert times("broken") != 3

def test_third_time(broken):
    pass

def test_ends_pytest():
    if os.environ.get("CRASH") and times("crash") == 2:
        os._exit(77)
"""


@pytest.fixture
def rounds(tmp_path, monkeypatch, capsys):
    """A function that does rounds and returns the exit code and what was said."""
    project = tmp_path / "project"
    (project / "tests").mkdir(parents=True)
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "tests/test_now_and_then.py").write_text(TESTS)
    monkeypatch.chdir(project)

    def run(count: int, *more: str) -> tuple[int, str]:
        options = ["--rounds", str(count), "--fuzz-minutes", "0", "--folder", str(tmp_path / "logs")]
        code = soak.main([*options, *more, "--", "-p", "no:django", "-p", "no:cacheprovider", "tests"])
        return code, capsys.readouterr().out

    return run


def test_a_test_that_fails_each_second_time_is_counted_with_the_seeds_and_the_rounds_go_on(rounds, tmp_path):
    code, told = rounds(4)
    seeds = dict(re.findall(r"^(\d\d-tests): seed (\d+)$", told, re.MULTILINE))
    assert code == 1
    assert len(set(seeds.values())) == 4
    assert "4 runs of pytest, 2 tests failed\n" in told
    each_second = "2 of 4  tests/test_now_and_then.py::TestClass::test_each_second_time[a.b]\n"
    its_seeds = f"        02-tests seed {seeds['02-tests']}, 04-tests seed {seeds['04-tests']}\n"
    third = (
        f"1 of 4  tests/test_now_and_then.py::test_third_time\n        03-tests seed {seeds['03-tests']}\n"
    )
    assert each_second + its_seeds + third in told
    (folder,) = (tmp_path / "logs").iterdir()
    assert "AssertionError" in (folder / "02-tests.log").read_text()
    assert len(list(folder.glob("*.log"))) == 4


def test_without_a_failure_it_ends_well(rounds):
    code, told = rounds(1)
    assert (code, "0 of 5 failed" in told, "1 runs of pytest, 0 tests failed" in told) == (0, True, True)


def test_the_same_seed_gives_the_same_seeds(rounds, tmp_path):
    told = [rounds(1, "--seed", "5", "--folder", str(tmp_path / name))[1] for name in ("one", "two")]
    assert len({re.findall(r"seed \d+", each)[0] for each in told}) == 1


def test_a_pytest_that_dies_is_a_failure_of_its_round(rounds, monkeypatch):
    monkeypatch.setenv("CRASH", "yes")
    code, told = rounds(2)
    assert code == 1
    assert "(pytest itself, exit code 77: 02-tests.log)" in told


def test_nothing_to_run_is_a_failure(rounds):
    code, told = rounds(1, "--", "-k", "nothing_of_the_kind")
    assert (code, "(pytest itself, exit code 5: 01-tests.log)" in told) == (1, True)


def test_a_round_in_which_all_is_skipped_is_no_success(rounds):
    code, told = rounds(1, "--", "-k", "test_never")
    assert (code, "(pytest itself, exit code 0: 01-tests.log)" in told) == (1, True)


def test_the_load_is_there_meanwhile_and_gone_afterwards():
    with soak.busy(2):
        loops = [child for child in psutil.Process().children() if child.cmdline()[1:3] == ["-c", soak.BUSY]]
        assert len(loops) == 2
    assert not any(loop.is_running() for loop in loops)


def test_the_load_ends_with_a_soak_that_was_killed(tmp_path):
    code = "from tests import soak\nimport os\nwith soak.busy(1): os.kill(os.getpid(), 9)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=os.environ) as killed:
        assert killed.wait(60) == -9
    # Its own, of which some other soak on this machine may have as well
    left = [process for process in psutil.process_iter(["cmdline"])
            if (process.info["cmdline"] or [])[-2:] == [soak.BUSY, str(killed.pid)]]  # fmt: skip
    _gone, alive = psutil.wait_procs(left, timeout=30)
    assert alive == []
