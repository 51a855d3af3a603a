"""What the script says of a run, as the panel reads it."""

import re

import pytest

from keymanager.protocol import has_failed
from tests.named import ROOT

SCRIPT = "".join(path.read_text() for path in sorted((ROOT / "keymanager/configs").glob("gestion-keys*.j2")))
WORDS = re.findall(r'\b(note|fail) "((?:\$\([^)]*\)|[^"])*)"', SCRIPT)


def said(text: str) -> str:
    """As the script fills it in."""
    return re.sub(r"\$\(were [^)]*\)", "2 lines that were here are", text).replace("$1", "deploy")


def test_there_are_words() -> None:
    assert {kind for kind, _text in WORDS} == {"note", "fail"}


@pytest.mark.parametrize("text", [said(text) for kind, text in WORDS if kind == "note"])
def test_a_note_is_of_a_fetch_that_went_well(text: str) -> None:
    assert not has_failed(text)


@pytest.mark.parametrize("text", [said(text) for kind, text in WORDS if kind == "fail" and text[0] != "$"])
def test_what_failed_is_no_note(text: str) -> None:
    assert has_failed(text)
    assert has_failed(f"stale: no proved answer for 3 hours; {text}")


def test_what_nobody_said_is_nothing() -> None:
    assert not has_failed("")
    assert has_failed("disk full")
