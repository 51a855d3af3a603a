"""docs/testing.md: its examples are what stands in the tests."""

import re

import pytest

from tests.named import ROOT

TEXT = (ROOT / "docs/testing.md").read_text()
EXAMPLES = re.findall(r"`(tests/[\w/]+\.py)::\w+`[^`]*\n```python\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_examples():
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize(("path", "lines"), EXAMPLES)
def test_an_example_stands_in_the_test_that_is_named_before_it(path, lines):
    text = (ROOT / path).read_text().splitlines()
    assert [line for line in lines.splitlines() if line and line not in text] == []
