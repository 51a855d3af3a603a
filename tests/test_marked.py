"""A run for marked tests alone misses none of them, in a pytest of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.marked import asked_for
from tests.panel import ROOT

MARKED = "import pytest\n\n@pytest.mark.lab\ndef test_marked():\n    pass\n\ndef test_other():\n    pass\n"
BROKEN = "raise RuntimeError('this file was read')\n"
FROM_ELSEWHERE = (
    "import pytest\n\ndef pytest_collection_modifyitems(items):\n    items[0].add_marker(pytest.mark.lab)\n"
)


def run(folder: Path, expression: str) -> tuple[int, str]:
    """What pytest says of the tests in a folder that an expression asks for."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  lab: on hosts\n")
    argv = [sys.executable, "-m", "pytest", "-p", "tests.marked", "-p", "no:django", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*argv, "-v", "-m", expression],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("expression", "kinds"),
    [
        ("lab or browser", ["lab", "browser"]),
        ("services", ["services"]),
        ("", []),
        ("not lab", []),
        ("lab and not browser", []),
        ("lab or slow", []),
    ],
)
def test_only_where_all_that_is_asked_for_has_a_mark_of_these_are_files_passed_by(expression, kinds) -> None:
    """Anything else may be true of a test in any file."""
    assert asked_for(expression) == kinds


def test_files_without_the_mark_are_not_read_and_the_marked_test_runs(tmp_path) -> None:
    """One that could not even be imported shows which were."""
    (tmp_path / "test_a.py").write_text(MARKED)
    (tmp_path / "test_b.py").write_text(BROKEN)
    code, said = run(tmp_path, "lab")
    assert code == 0, said
    assert "test_a.py::test_marked PASSED" in said
    assert "test_other" not in said
    assert "this file was read" in run(tmp_path, "not lab")[1]


def test_a_mark_from_elsewhere_ends_the_run_that_would_leave_the_test_out(tmp_path) -> None:
    """It would be missed by the run that asks for the mark."""
    (tmp_path / "test_a.py").write_text("def test_it():\n    pass\n")
    (tmp_path / "conftest.py").write_text(FROM_ELSEWHERE)
    code, said = run(tmp_path, "not lab")
    assert code == pytest.ExitCode.USAGE_ERROR, said
    assert "test_a.py: mark.lab" in said
