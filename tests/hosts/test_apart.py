"""Each file is read in a process of its own; one that takes it all takes that alone."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from hosts import apart
from hosts.bounds import TooSlow
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
# A helper as the rooms have them: it says how long a file is once its code has run.
HELPER = """
import json, sys
from pathlib import Path
from hosts.apart import read_apart
def read(path):
    exec(compile(path.read_text(), str(path), "exec"), {})
    return len(path.read_text()) if path.name != "long.py" else "x" * 2**21
print(json.dumps(read_apart([Path(one) for one in sys.argv[1:]], read, 5.0)))
"""
SECONDS = 5.0  # a file that only counts to one may wait so long for its turn on a busy machine
WRITES = """
import os
for number in range(3, 99):
    try:
        os.write(number, b"%s")
    except OSError:
        pass
"""
TEXTS = {
    "good.py": "1",
    "loop.py": "\nwhile True: pass\n",
    "ends.py": "import os; os._exit(0)",
    "raises.py": "1 / 0",
    "long.py": "1",
    "prints.py": "print('x' * 10**6)",
    # As one that doubles itself does, where both are quicker than who reads.
    "twice.py": WRITES % r"7\n7\n",
    "mixed.py": WRITES % r"[7, [7\n",
}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    return sorted(tmp_path.iterdir())


def test_each_file_is_answered_for(paths: list[Path]) -> None:
    found = apart.from_helper([sys.executable, "-c", HELPER], paths, SECONDS, cwd=ROOT, env=os.environ)
    assert {path.name: said for path, said in found.items()} == {
        "good.py": 1,
        "prints.py": len(TEXTS["prints.py"]),
        "loop.py": {"why": "slow", "line": "2"},
        "ends.py": {"why": "ends", "line": "?"},
        "raises.py": {"why": "ends", "line": "?"},
        "long.py": {"why": "ends", "line": "?"},
        "twice.py": 7,
        "mixed.py": {"why": "ends", "line": "?"},
    }


def test_no_process_is_left(paths: list[Path], tmp_path: Path) -> None:
    left = tmp_path / "left.py"
    sleep = f"sleep {secrets.randbelow(10**6) + 10**4}"  # nobody else's
    left.write_text(f"import subprocess; subprocess.Popen({sleep.split()})")
    assert apart.from_helper([sys.executable, "-c", HELPER], [left], SECONDS, cwd=ROOT, env=os.environ)
    wait_for(
        lambda: subprocess.run(["pgrep", "-xf", sleep], capture_output=True, check=False).returncode == 1,
        name="the end of what a file has started",
    )


def test_a_helper_that_fails_is_told(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no such thing"):
        apart.from_helper(
            [sys.executable, "-c", "raise SystemExit('no such thing')"], paths, 1.0, cwd=ROOT, env=os.environ
        )
    monkeypatch.setattr(apart, "START_SECONDS", -10.0)
    with pytest.raises(TooSlow):
        apart.from_helper(
            [sys.executable, "-c", "while True: pass"], paths[:1], 1.0, cwd=ROOT, env=os.environ
        )
