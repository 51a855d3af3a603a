"""A run of the tests that is killed in its middle leaves nothing once the next one has started."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import LabUnavailable, record
from lab.sweep import sweep, sweep_if
from lab.system import is_zombie, require_lab
from tests.lab.test_down import NETWORK, SECOND
from tests.lab.traces import traces
from tests.leftovers import RUN, ending_with_us
from tests.panel import ROOT
from tests.waiting import wait_for

SECONDS = 240  # a run may take to begin or to end on a busy machine

# What the killed runs are in the middle of. The process is nobody's child, and where control groups can be had, its
# environment does not tell of the run either.
MIDDLE = """
import os, subprocess, tempfile, time
from pathlib import Path

TOLD = Path(os.environ["TOLD"])

def test_middle(tmp_path):
    words = f"echo $$ >{TOLD}/process; exec sleep 600"
    grouped = "/gestion-tests." in Path("/proc/self/cgroup").read_text()
    env = {"PATH": os.environ["PATH"]} if grouped else None
    subprocess.run(["setsid", "--fork", "sh", "-c", words], env=env, check=True)
    while not (TOLD / "process").exists() or not (TOLD / "process").read_text():
        time.sleep(0.05)
    tell(runner=os.getpid(), run=os.environ["GESTION_TEST_RUN"], folder=tempfile.mkdtemp(), base=tmp_path)

def tell(**words):
    for name, word in words.items():
        (TOLD / name).write_text(str(word))
    (TOLD / "ready").touch()
    time.sleep(300)
"""
ON_SERVICES = """
from tests.panel import Panel

def test_middle(tmp_path):
    with Panel(tmp_path) as panel:
        tell(run=os.environ["GESTION_TEST_RUN"], base=tmp_path, panel=panel._process.pid, runner=os.getpid(),
             database=int(next(Path(tempfile.gettempdir()).glob("*/data/postmaster.pid")).open().readline()))
"""
ON_HOSTS = """
from lab import Fleet, HostSpec

def test_middle(tmp_path):
    with Fleet.up(os.environ["LAB"], os.environ["NETWORK"], hosts=[HostSpec("n1", disk_mb=16)]):
        tell(run=os.environ["GESTION_TEST_RUN"], base=tmp_path)
"""


class Runs:
    """Runs of pytest with a temporary folder of their own for this machine's, and what the tests in them tell."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.told = folder / "told"
        self.told.mkdir()
        self.temporary = temporary
        self.tests = folder / "test_tiny.py"
        self.options = ["-c", str(ROOT / "pyproject.toml"), "-p", "no:cacheprovider", str(self.tests)]
        gone = (
            RUN,
            "LAB_OWNER",
            "PYTEST_DEBUG_TEMPROOT",
            "PYTEST_XDIST_WORKER",
            "PYTEST_ADDOPTS",
            "DATA_DIR",
        )
        self.env = {name: value for name, value in os.environ.items() if name not in gone}
        self.env.update(TMPDIR=str(temporary), TOLD=str(self.told), LAB=SECOND, NETWORK=NETWORK)
        self.begun: subprocess.Popen[bytes] | None = None

    def begin(self, *argv: str, test: str = MIDDLE, until: str = "ready") -> "subprocess.Popen[bytes]":
        """Begin a run that stays in its middle; returns when it has told so (or a file of its run is there)."""
        self.tests.write_text(test)
        self.begun = subprocess.Popen(
            # Whoever started this run in a shell's background has it ignore Ctrl-C, and so all that it starts.
            ending_with_us(["env", "--default-signal=INT", sys.executable, "-m", *argv, *self.options], signal.SIGKILL),
            cwd=ROOT, env=self.env, start_new_session=True,
        )  # fmt: skip
        self.wait(until)
        return self.begun

    def wait(self, until: str = "ready") -> None:
        """Wait for what a run tells, or for a file in its folder."""
        wait_for(lambda: (self.told / until).exists() or list(self.temporary.glob(f"*/*/{until}")), SECONDS)

    def kill(self) -> None:
        """Kill the first process of the run that has begun."""
        assert self.begun
        self.begun.kill()
        self.begun.wait()

    def next(self) -> None:
        """A run from its beginning to its end."""
        self.tests.write_text("def test_nothing(): pass\n")
        argv = [sys.executable, "-m", "pytest", "-q", *self.options]
        done = subprocess.run(
            argv, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def left(self) -> set[str]:
        """What there is of the run that told: by the numbers and paths it told, not by how one searches."""
        told = {path.name: path.read_text().strip() for path in self.told.iterdir() if path.name != "ready"}
        groups = groups_called(f"gestion-tests.{Path(told['run']).name}")
        here = {name for name, word in told.items() if word.startswith("/") and Path(word).exists()}
        return here | {name for name, word in told.items() if word.isdigit() and runs(word)} | groups


def groups_called(name: str) -> set[str]:
    """The control groups of this name; those of other labs come and go meanwhile, at which a glob fails."""
    return {f"{path}/{name}" for path, folders, _files in os.walk("/sys/fs/cgroup") if name in folders}


def runs(pid: str) -> bool:
    """Whether a process is there, and no zombie."""
    return not is_zombie(int(pid))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Runs]:
    """Tiny runs, in a folder with a short name: PostgreSQL's socket is in it."""
    with tempfile.TemporaryDirectory(prefix="k") as temporary:
        Path(temporary).chmod(0o1777)
        tiny = Runs(tmp_path, Path(temporary))
        yield tiny
        if tiny.begun:
            tiny.kill()
        if any(path.is_dir() for path in Path(temporary).glob("gestion-*/*")):  # it failed
            tiny.next()


@pytest.mark.parametrize("side_by_side", [(), ("-n", "1")])
def test_what_a_killed_run_left_goes_when_the_next_one_starts(
    tiny: Runs, side_by_side: tuple[str, ...]
) -> None:
    tiny.begin("pytest", *side_by_side)
    tiny.kill()
    assert tiny.left() >= {"run", "folder", "base", "process"}
    tiny.next()
    assert tiny.left() == set()


def test_a_run_killed_while_it_begins_leaves_nothing_either(tiny: Runs) -> None:
    tiny.begin("pytest", until="lock")
    tiny.kill()
    (run,) = (path for path in tiny.temporary.glob("gestion-*/*") if path.is_dir())
    tiny.next()
    assert not run.exists()


def test_a_run_whose_worker_was_killed_clears_up_at_its_own_end(tiny: Runs) -> None:
    process = tiny.begin("pytest", "-n", "1", "--max-worker-restart", "0")
    os.kill(int((tiny.told / "runner").read_text()), signal.SIGKILL)
    assert process.wait(SECONDS) != 0
    assert tiny.left() == {"base"}  # as after every run: pytest keeps the last three


def test_a_run_that_is_alive_is_let_be_and_ends_in_order_by_ctrl_c(tiny: Runs) -> None:
    process = tiny.begin("pytest", "-n", "1")
    before = tiny.left()
    tiny.next()
    assert tiny.left() == before >= {"run", "folder", "base", "process", "runner"}
    os.killpg(process.pid, signal.SIGINT)
    process.wait(SECONDS)
    assert tiny.left() == {"base"}


def test_a_run_ends_with_the_make_that_started_it(tiny: Runs, tmp_path: Path) -> None:
    words = " ".join([sys.executable, "-m", "pytest", *tiny.options])
    (tmp_path / "Makefile").write_text(f"all:\n\tcd {ROOT} && exec {words}\n")
    tiny.tests.write_text(MIDDLE)
    make = ending_with_us(["make", "-f", str(tmp_path / "Makefile")], signal.SIGKILL)
    tiny.begun = subprocess.Popen(make, env=tiny.env)
    tiny.wait()
    tiny.kill()
    wait_for(lambda: "runner" not in tiny.left())
    tiny.next()
    assert tiny.left() == set()


@pytest.mark.services
def test_services_and_a_panel_go_with_a_killed_run_too(tiny: Runs) -> None:
    tiny.begin("tests.production", test=MIDDLE + ON_SERVICES)
    tiny.kill()
    assert tiny.left() >= {"run", "base"}
    tiny.next()
    assert tiny.left() == set()


@pytest.fixture
def no_second_lab() -> Iterator[None]:
    """Whatever a test that failed has left of its lab goes; skips where there can be no lab."""
    try:
        require_lab()
    except LabUnavailable as unavailable:
        if os.environ.get("CI") == "true":
            pytest.fail(f"No lab in CI: {unavailable}")
        pytest.skip(str(unavailable))
    yield
    sweep(SECOND)


def up() -> bool:
    """Whether the lab's host is up, as far as its folder tells."""
    return (record.lab_folder(SECOND) / "lxc").is_dir() and any(record.lab_folder(SECOND).glob("lxc/*/pid"))


def claimed() -> bool:
    """Whether the lab is claimed, and perhaps not more."""
    return bool(record.owner(SECOND))


@pytest.mark.lab
@pytest.mark.parametrize("moment", [claimed, up])
def test_the_lab_of_a_killed_run_is_taken_down_when_the_next_one_starts(
    tiny: Runs, no_second_lab: None, moment: Callable[[], bool]
) -> None:
    tiny.begin("pytest", test=MIDDLE + ON_HOSTS, until="lock")
    wait_for(moment, SECONDS)
    tiny.kill()
    assert traces(SECOND)
    tiny.next()
    assert traces(SECOND) == []


@pytest.mark.lab
def test_a_lab_goes_with_its_owner_and_one_without_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_second_lab: None
) -> None:
    monkeypatch.setenv("LAB_STATE", str(tmp_path))
    for name, owner in (("kept", ""), ("alive", "/run/alive"), ("dead", "/run/dead")):
        monkeypatch.setenv("LAB_OWNER", owner)
        record.own(name)
        record.save(record.LabRecord(name, "192.0.2.0/27", "/", "salt"))
    for name in record.all_names():
        sweep_if(name, lambda owner: owner == "/run/dead")
    assert record.all_names() == ["alive", "kept"]


def test_a_run_within_a_test_leaves_alone_what_is_kept_of_runs(tmp_path: Path) -> None:
    ours = Path(os.environ[RUN])
    note = ours / "basetemp"
    before = note.read_text() if note.exists() else ""
    (tmp_path / "test_inner.py").write_text("def test_it(tmp_path): print(tmp_path)\n")
    argv = [sys.executable, "-m", "pytest", "-s", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]
    done = subprocess.run(
        argv,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTEST_XDIST_WORKER": ""},
    )
    assert f"{ours}/pytest-of-" in done.stdout
    assert (note.read_text() if note.exists() else "") == before
