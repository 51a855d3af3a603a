"""What a run keeps of what it is told is bounded; what was left out is counted, and its end is kept."""

import pytest

from jobs.masking import MASK, Masker
from jobs.models import Job
from jobs.run import MOST_CHARACTERS, MOST_LINES, Run
from jobs.tail import LAST_LINES, MOST_BYTES

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


def kept(run: Run) -> list[str]:
    run.finish()
    return [line.text for line in run.take_news().lines]


def full(*secrets: str) -> Run:
    run = Run(Job(), Masker(secrets))
    run.output("out", b"x\n" * (MOST_LINES + 1))
    return run


@pytest.mark.parametrize(("each", "left_out"), [(MOST_LINES + LAST_LINES + 7, 7), (1, 6)])
def test_many_short_lines_are_cut_and_said(each: int, left_out: int) -> None:
    """Of lines one by one, the first that is too many is masked before that is known, and told beside the last."""
    run = Run(Job(), Masker())
    for _ in range((MOST_LINES + LAST_LINES + 7) // each):
        run.output("out", b"x\n" * each)
    lines = kept(run)
    assert lines.pop(MOST_LINES) == f"{left_out} more lines were not kept. The last ones:"
    assert lines == ["x"] * (MOST_LINES + LAST_LINES + 7 - left_out)


def test_long_lines_are_cut_by_their_length_and_said() -> None:
    run = Run(Job(), Masker())
    for _ in range(4):
        run.output("out", (b"y" * 3000 + b"\n") * 1000)
    run.output("err", b"y" * 40_000_000 + b"\n")
    lines = kept(run)
    assert sum(map(len, lines)) <= MOST_CHARACTERS + LAST_LINES * 3000 + 100
    assert any("more lines were not kept" in line for line in lines)


@pytest.mark.parametrize("much", [0, 3 * MOST_BYTES])
def test_why_it_fails_comes_last_and_is_kept(much: int) -> None:
    run = full("hunter22")
    with run.step("One"):
        run.output("out", b"z" * 70 + b"\n" + b"y\n" * much)
        run.output("err", b"Traceback: it was hun")
    run.output("err", b"ter22\n")
    run.log("The work says: hunter22")
    run.output("out", b"without an end")
    assert kept(run)[-3:] == ["without an end", f"Traceback: it was {MASK}", f"The work says: {MASK}"]


@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_of_a_private_key_nothing_is_kept_that_comes_as_the_run_gets_full(before: int) -> None:
    parts = [part.encode() for part in KEY.splitlines(keepends=True)]
    run = Run(Job(), Masker())
    run.output("out", b"x\n" * (MOST_LINES + 1) + b"".join(parts[:before]))
    run.output("out", b"".join(parts[before:]) + b"after\n")
    lines = kept(run)
    assert lines[-1] == "after"
    assert not [line for line in lines if "b3Blb" in line or "END" in line]


@pytest.mark.parametrize("cut", range(0, len(KEY), 7))
def test_a_key_that_is_cut_off_at_its_front_is_left_out(cut: int) -> None:
    run = full()
    tail = KEY[cut:].encode() + b"w" * 1000 + b"\n"
    run.output("out", KEY[:cut].encode() + tail + b"v" * (MOST_BYTES - len(tail) - 1) + b"\n")
    lines = kept(run)
    assert lines[-1].startswith("vvv")
    assert not [line for line in lines if "b3Blb" in line or "AAAAA" in line or "END" in line]
