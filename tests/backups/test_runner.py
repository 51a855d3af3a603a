"""What the panel writes for backup-run, and reads of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backups.runner import NOT_THERE, NoRunner, Progress, look, read_look, read_progress, start, work_text
from hosts.host import Result
from hosts.memory import MemoryHost

ANSWER = b"""known=yes
alive=no
boot=same
started=1795236124
phase=looking
destination_place=/ ext4 0a1b
rotated=daily
rotated=hourly
copy=hourly.0 1795236124
copy=hourly.1 1795236123
grown_bytes=-4096
state=done
why=
words=
progress=
output:
Copying.
a line = with signs
"""


def test_a_look_is_read():
    seen = read_look(ANSWER)
    assert (seen.known, seen.alive, seen.same_boot, seen.ended) == (True, False, True, True)
    assert seen.lists["rotated"] == ("daily", "hourly")
    assert seen.number("grown_bytes") == -4096
    assert seen.number("files") is None
    assert seen.facts["destination_place"] == "/ ext4 0a1b"
    assert seen.output == b"Copying.\na line = with signs\n"


def test_a_run_that_the_host_does_not_know():
    seen = read_look(b"known=no\n")
    assert (seen.known, seen.alive, seen.ended) == (False, False, False)


@given(st.lists(st.text(st.characters(exclude_characters="\n\0", codec="utf-8"), max_size=12), max_size=6))
def test_whatever_stands_in_a_fact_it_is_one_fact(values):
    lines = "".join(f"words={value}\n" for value in ["a", *values])
    seen = read_look(f"known=yes\nstate=failed\n{lines}progress=\noutput:\n".encode())
    assert seen.lists["words"] == ("a", *values)
    assert set(seen.facts) == {"known", "state", "words", "progress"}


@pytest.mark.parametrize("end", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"])
def test_words_of_a_source_never_become_facts_of_the_runner(end):
    said = f"rsync: cannot read{end}state=done{end}rotated=daily"
    seen = read_look(f"known=yes\nstate=failed\nwhy=rsync\nwords={said}\nended=1\n\noutput:\n".encode())
    assert seen.facts["state"] == "failed"
    assert seen.facts["words"] == said
    assert "rotated" not in seen.lists


@given(st.binary(max_size=300))
def test_any_answer_is_read_without_an_error(answer):
    read_look(answer)


def test_progress_while_copying_and_while_nothing_changed():
    copying = "    104,857,600  33%  117.81MB/s    0:00:01 (xfr#3, to-chk=97/101)"
    assert read_progress(copying) == Progress(104857600, 33, "117.81MB/s", 1)
    unchanged = "              0   0%    0.00kB/s    0:00:00 (xfr#0, to-chk=20/5001)"
    assert read_progress(unchanged) == Progress(0, 99, "0.00kB/s", 0)
    finding = "     1234   5%    1.00kB/s    1:02:03 (xfr#1, ir-chk=1000/2000)"
    assert read_progress(finding) == Progress(1234, None, "1.00kB/s", 3723)
    assert read_progress("sent 100 bytes") is None


def test_the_work_is_one_line_a_value():
    assert work_text({"uuid": "a", "levels": "daily hourly", "good_files": None}) == (
        b"uuid=a\nlevels=daily hourly\ngood_files=\n"
    )


@given(st.text(), st.sampled_from("\n\r\0"), st.text())
def test_what_is_more_than_a_line_never_reaches_the_host(before, character, after):
    with pytest.raises(ValueError, match="more than one line"):
        work_text({"destination": before + character + after})


def test_a_backup_server_without_the_runner_is_said():
    host = MemoryHost(answers={("/usr/local/lib/gestion/backup-run",): Result(NOT_THERE, err=b"not found")})
    with pytest.raises(NoRunner, match="rollout"):
        start(host, "abc", {})
    with pytest.raises(NoRunner):
        look(host, "abc")
