# ruff: noqa: T201 - to print is what they try
"""What a work prints is in its own job's log, and what others print is not."""

import logging
import sys
import threading
from contextvars import copy_context

import pytest

from jobs.masking import MASK, Masker
from jobs.models import Job
from jobs.printing import printed_into
from jobs.run import MOST_CHARACTERS, Run
from jobs.tail import LAST_LINES


def fresh(*secrets: str) -> Run:
    return Run(Job(), Masker(secrets))


def kept(run: Run) -> list[tuple[str, str]]:
    run.finish()
    return [(line.stream, line.text) for line in run.take_news().lines]


def test_what_is_printed_is_in_the_log_whole_lines_or_not_and_masked() -> None:
    run = fresh("hunter22")
    with printed_into(run):
        print("one", 2)
        print("the word is hunter22")
        print("without", end=" ")
        print("an end", end="")
        sys.stderr.write("ü \ud800 \x1b[31mred\n")
        sys.stdout.writelines(["three\n", "four"])
    assert kept(run) == [
        ("out", "one 2"),
        ("out", f"the word is {MASK}"),
        ("err", "ü ? red"),
        ("out", "without an endthree"),
        ("out", "four"),
    ]


def test_two_works_at_once_each_have_their_own_and_others_have_the_workers(capsys) -> None:
    runs = [fresh(), fresh()]
    both, told = threading.Barrier(3), threading.Barrier(3)

    def work(number: int) -> None:
        with printed_into(runs[number]):
            both.wait()
            for _ in range(100):
                print(f"of {number}")
            told.wait()

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    both.wait()
    print("of the worker")
    told.wait()
    for thread in threads:
        thread.join()
    assert [kept(run) for run in runs] == [[("out", f"of {number}")] * 100 for number in (0, 1)]
    print("afterwards")
    assert capsys.readouterr().out == "of the worker\nafterwards\n"


def test_a_thread_that_copies_the_context_prints_into_the_log_and_another_does_not(capsys) -> None:
    run = fresh()
    with printed_into(run):
        for target in (copy_context().run, lambda function, text: function(text)):
            thread = threading.Thread(target=target, args=(print, "from a thread"))
            thread.start()
            thread.join()
    assert kept(run) == [("out", "from a thread")]
    assert capsys.readouterr().out == "from a thread\n"


def test_a_handler_made_by_a_work_logs_into_it_and_into_no_other_later(capsys) -> None:
    run, log = fresh(), logging.getLogger("tests.own")
    log.propagate = False
    with printed_into(run):
        log.addHandler(logging.StreamHandler())
        log.warning("of the work")
    log.warning("later")
    assert kept(run) == [("err", "of the work")]
    assert capsys.readouterr().err == "later\n"


def test_one_block_inside_another_and_a_failure_leave_the_streams_as_they_were() -> None:
    outer, inner, before = fresh(), fresh(), (sys.stdout, sys.stderr)
    with printed_into(outer):
        with pytest.raises(KeyError), printed_into(inner):
            raise KeyError(print("inner"))
        print("outer")
    assert (kept(outer), kept(inner)) == ([("out", "outer")], [("out", "inner")])
    assert (sys.stdout, sys.stderr) == before


def test_much_is_cut() -> None:
    run = fresh()
    with printed_into(run):
        for _ in range(6):
            print(("y" * 3000 + "\n") * 1000)
    assert sum(len(text) for _stream, text in kept(run)) <= MOST_CHARACTERS + 2 * LAST_LINES * 3000
