"""What a run keeps of what it is told is bounded, and what was left out is counted."""

from jobs.masking import Masker
from jobs.models import Job
from jobs.run import MOST_CHARACTERS, MOST_LINES, Run


def kept(run: Run) -> list[str]:
    run.finish()
    return [line.text for line in run.take_news().lines]


def test_many_short_lines_are_cut_and_said() -> None:
    run = Run(Job(), Masker())
    run.output("out", b"x\n" * (MOST_LINES + 7))
    lines = kept(run)
    assert len(lines) == MOST_LINES + 1
    assert "7 more lines" in lines[-1]


def test_long_lines_are_cut_by_their_length_and_said() -> None:
    run = Run(Job(), Masker())
    for _ in range(4):
        run.output("out", (b"y" * 3000 + b"\n") * 1000)
    run.output("err", b"y" * 40_000_000 + b"\n")
    lines = kept(run)
    assert sum(map(len, lines)) <= MOST_CHARACTERS + 100
    assert "more lines were not kept" in lines[-1]
