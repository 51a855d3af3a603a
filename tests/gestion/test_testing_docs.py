"""docs/testing.md: what it names is there, and its examples are what stands in the tests."""

import re

import pytest

from tests.named import ROOT, has_test, named_tests, paths_named

TEXT = (ROOT / "docs/testing.md").read_text()
EXAMPLES = re.findall(r"`(tests/[\w/]+\.py)::\w+`[^`]*\n```python\n(.*?)```", TEXT, re.DOTALL)
MADE_BY_RUNS = ("test-results", "bench/results", "var/")


@pytest.mark.parametrize("test", named_tests(TEXT), ids="::".join)
def test_a_test_that_is_named_exists(test):
    assert has_test(*test)


def test_a_path_that_is_named_exists():
    paths = [path for path in paths_named(TEXT) if not path.startswith(MADE_BY_RUNS)]
    assert len(paths) >= 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_a_document_that_is_linked_exists():
    linked = re.findall(r"\]\(([^)#]+)", TEXT)
    assert [name for name in linked if not (ROOT / "docs" / name).exists()] == []


def test_every_make_is_a_target():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"`make ([a-z]+)", TEXT)) - set(targets) == set()


def test_there_are_examples():
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(("path", "lines"), EXAMPLES)
def test_an_example_stands_in_the_test_that_is_named_before_it(path, lines):
    text = (ROOT / path).read_text().splitlines()
    assert [line for line in lines.splitlines() if line and line not in text] == []
