"""docs/threat-model.md: every attack names a test, and every test that it names exists."""

import pytest

from tests.named import ROOT, has_test, named_tests

ROWS = [
    line
    for line in (ROOT / "docs/threat-model.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| attack |")
]


def test_there_are_attacks():
    assert len(ROWS) > 20


@pytest.mark.parametrize("row", ROWS)
def test_an_attack_names_a_test_that_exists(row):
    tests = named_tests(row)
    assert tests, "Name the test that tries this attack, as `tests/room/test_file.py::test_name`."
    assert [f"{path}::{name}" for path, name in tests if not has_test(path, name)] == []
