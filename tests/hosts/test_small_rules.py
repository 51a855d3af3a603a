"""Small rules of this room, each by itself."""

import time
from collections.abc import Sequence

import pytest

from hosts import answers, engine
from hosts.address import BadConnection, parse_connection
from hosts.bounds import shown
from hosts.changes import Seen, compare, difference_of
from hosts.connecting import _config
from hosts.errors import CheckFailed, CommandFailed, DiskFull, Interrupted
from hosts.host import OnOutput, Result
from hosts.job import allowed_seconds
from hosts.memory import MemoryHost
from hosts.meter import metered, outside
from hosts.programs import TooSlow, run_program
from hosts.state import STAGED, Absent, BadState, Command, File, Link, State


class Answering:
    """A host that ends every command in the same way."""

    name = "web1"

    def __init__(self, result: Result) -> None:
        self.result = result
        self.timeout = 0.0

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float = 60.0,
        on_output: OnOutput | None = None,
        survive: bool = False,
    ) -> Result:
        self.timeout = timeout
        return self.result

    def read(self, path: str) -> bytes | None:
        return None

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("code", [1, 2, 126, 127])
def test_where_no_shell_could_read_the_script_nothing_was_done_and_that_is_known(code):
    with pytest.raises(CommandFailed) as raised:
        answers.ask_end(Answering(Result(code, err=b"sh: no \xff such\n")), b"", 5)
    assert raised.value.words == "sh: no \ufffd such"
    assert raised.value.code == code


@pytest.mark.parametrize("code", [0, 3, 125, 128, 255])
def test_any_other_end_without_an_answer_is_not_known(code):
    with pytest.raises(Interrupted) as raised:
        answers.ask_end(Answering(Result(code)), b"", 5)
    assert raised.value.words == f"no answer, code {code}"


def test_a_full_disk_is_told_as_such():
    with pytest.raises(DiskFull):
        answers.ask_end(Answering(Result(2, err=b"sh: write error: No space left on device\n")), b"", 5)


def test_an_answer_is_read_with_the_words_after_it():
    said = b"gestion run-1 old check 7\n words \xff \n"
    found = answers.ask_end(Answering(Result(0, out=said)), b"", 5)
    assert found == answers.Answer("old", "check", 7, "words \ufffd")


def test_a_failed_check_is_named_by_its_number_among_those_of_its_step():
    state = State(
        kind="test",
        items=(),
        checks=(
            Command(("first", "--staged")),
            Command(("second", "--placed"), in_place=True),
            Command(("third", "--staged")),
            Command(("fourth", "--placed"), in_place=True),
        ),
    )
    for stage, number, said in (
        ("staged", 1, "first --staged"),
        ("staged", 2, "third --staged"),
        ("placed", 1, "second --placed"),
        ("placed", 2, "fourth --placed"),
        ("placed", 3, "placed"),
    ):
        with pytest.raises(CheckFailed) as raised:
            answers.raise_unless_new("web1", answers.Answer("old", stage, number, "no"), state, ())
        assert f"({said})" in str(raised.value)


def test_a_host_in_memory_hands_each_stream_on_under_its_name():
    host = MemoryHost(answers={("both",): Result(0, b"yes\n", b"no\n"), ("quiet",): Result(0)})
    came: list[tuple[str, bytes]] = []
    for name in ("both", "quiet"):
        host.run([name], on_output=lambda *one: came.append(one))
    assert came == [("out", b"yes\n"), ("err", b"no\n")]


def test_blocks_within_blocks_take_no_longer_than_the_clock_says():
    began = time.monotonic()
    with metered() as meter, outside(), outside(), outside():
        time.sleep(0.1)
    assert 0.1 <= meter.seconds <= time.monotonic() - began


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_command_has_a_time_and_be_it_short(timeout):
    with pytest.raises(BadState):
        Command(("true",), timeout=timeout)
    assert Command(("true",), timeout=0.5).timeout == 0.5


def test_each_kind_of_thing_is_named_where_its_mode_would_stand():
    shown = difference_of(
        State(kind="test", items=(Link("/x", "y"),)), State(kind="test", items=(File("/x", b"1\n"),))
    )
    assert shown.startswith("--- /x\t(link)\n+++ /x\t644 root root\n")
    assert difference_of(None, State(kind="test", items=(File("/x", b"1\n"),))).startswith(
        "--- /x\t(absent)\n"
    )


def test_no_file_of_the_panels_own_home_decides_how_hosts_are_reached(tmp_path, monkeypatch):
    (tmp_path / ".fabric.yaml").write_text("user: somebody-else\nload_ssh_configs: true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    config = _config()
    assert config.user != "somebody-else"
    assert config.load_ssh_configs is False


def test_what_lies_there_is_named_also_where_it_is_neither_file_nor_link():
    state = State(kind="test", items=(File("/x", b"1\n"),))
    (change,) = compare(state, {"/x": Seen("d", "d")}, {}, {})
    assert "-(not a file)" in change.diff or "(folder)" in change.diff


def test_an_apply_may_take_as_long_as_all_its_commands_and_their_put_back():
    slow = tuple(Command(("true", str(number)), timeout=60) for number in range(40))
    assert allowed_seconds(State(kind="test", items=(), activate=slow)) >= 2 * 2 * 40 * 60
    back = State(kind="test", items=(), activate=slow, put_back=(Command(("true",), timeout=1),))
    assert 2 * 40 * 60 <= allowed_seconds(back) < allowed_seconds(State(kind="test", items=(), activate=slow))


def test_a_plan_waits_as_long_as_all_its_looks():
    host = Answering(Result(255))
    looks = tuple(Command(("true", str(number)), timeout=60) for number in range(40))
    with pytest.raises(Interrupted):
        engine.plan(host, State(kind="test", items=(), looks=looks))
    assert host.timeout >= 40 * 60


def test_what_is_absent_cannot_be_looked_at_before_it_counts():
    with pytest.raises(BadState):
        State(kind="test", items=(Absent("/x"),), checks=(Command(("test", STAGED("/x"))),))


def test_a_name_is_as_long_as_names_may_be_and_no_longer():
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert parse_connection(f"root@{longest}").host == longest
    with pytest.raises(BadConnection):
        parse_connection(f"root@{longest}b")


def test_sizes_are_told_in_whole_units():
    assert (shown(3 << 20), shown((2 << 20) - 1), shown(5 << 10)) == ("3 MiB", "1 MiB", "5 KiB")


def test_a_program_has_its_time_and_no_more():
    done = run_program(["sh", "-c", "sleep 0.1; echo done"], env={"PATH": "/usr/bin:/bin"}, seconds=20)
    assert (done.returncode, done.stdout) == (0, b"done\n")
    with pytest.raises(TooSlow, match=r"within 0.2 seconds"):
        run_program(["sleep", "20"], env={"PATH": "/usr/bin:/bin"}, seconds=0.2)
