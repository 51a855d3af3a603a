"""Where small rules of this room begin and end."""

import socket
import time
from collections.abc import Callable

import paramiko
import pytest

from hosts import answers, bounds, engine, wire
from hosts.bounds import MIB, Allowance, CountingSocket, TooSlow, shown
from hosts.changes import difference_of
from hosts.channels import CountingChannel
from hosts.connecting import _errors, fingerprint_of_line
from hosts.errors import CommandFailed, ForeignFile, HostKeyChanged, Interrupted, Unreachable
from hosts.host import Host, Result
from hosts.job import _item
from hosts.memory import MemoryHost
from hosts.meter import metered, outside
from hosts.probes import failing
from hosts.ssh import command_line
from hosts.state import STAGED, BadState, Command, File, HttpProbe, State
from tests.hosts.hostile import KEY, listening
from tests.hosts.test_small_rules import Answering


def test_of_a_hosts_words_the_last_four_thousand_are_kept():
    with pytest.raises(CommandFailed) as raised:
        answers.ask_end(Answering(Result(2, err=b"x" * 5000)), b"", 5)
    assert len(raised.value.words) == 4000


def test_a_whole_mebibyte_is_told_as_one():
    assert shown(MIB) == "1 MiB"


def test_the_line_for_the_shell_sets_nothing_but_the_locale_and_the_mark():
    assert command_line(["true"], 5.0) == "env LC_ALL=C timeout -k 5 5 true; exit $?"
    assert command_line(["true"], 5.0, "m") == "env LC_ALL=C GESTION_RUN=m timeout -k 5 5 true; exit $?"
    assert command_line(["true"], None) == "exec env LC_ALL=C true"


def test_what_is_staged_is_for_staged_checks_alone():
    file, command = File("/x", b""), Command(("test", STAGED("/x")), in_place=True)
    with pytest.raises(BadState):
        State("test", (file,), checks=(command,))
    with pytest.raises(BadState):
        State("test", (file,), activate=(Command(("test", STAGED("/x"))),))


def test_a_host_in_memory_has_its_name_and_the_modes_that_were_written():
    host = MemoryHost(name="web7")
    host.write("/x", b"", 0o600)
    assert host.run(["true"]).host == host.name == "web7"
    assert host.path("/x").stat().st_mode & 0o777 == 0o600


def test_a_program_is_made_for_nobody_else_until_it_has_its_mode():
    said = _item(File("/x", b"", mode=0o755), [""], moved=True, foreign=False)
    assert b" 077 755 " in said
    assert b" 022 - " in _item(File("/x", b"", mode=0o644), [""], moved=True, foreign=False)


def test_the_script_goes_to_hosts_without_comments():
    lines = wire._script().splitlines()
    assert lines
    assert all(line and not line.startswith("#") for line in lines)


def test_what_is_no_text_is_in_no_difference():
    text, other = (State("test", (File("/x", data),)) for data in (b"1\n", b"\0\xff"))
    for shown_there in (difference_of(text, other), difference_of(other, text)):
        assert "\0" not in shown_there
        assert "-(binary, 2 bytes)\n+(binary, 2 bytes)\n" in shown_there


def test_seconds_add_up():
    with metered() as meter:
        for _ in range(2):
            with outside():
                time.sleep(0.1)
    assert meter.seconds >= 0.2


def test_errors_begin_with_the_host_and_say_why():
    assert str(Unreachable("web1", "no")).startswith("web1 cannot be reached (no). ")
    assert ForeignFile(paths=["/x"]).host == ""
    assert Result(0).argv == ()


def test_another_key_than_those_pinned_is_told_with_all_of_them():
    lines = [f"{key.get_name()} {key.get_base64()} a comment" for key in (KEY, paramiko.ECDSAKey.generate())]
    with pytest.raises(HostKeyChanged) as raised, _errors("web1", tuple(lines), Allowance()):
        raise paramiko.BadHostKeyException("web1", KEY, KEY)
    assert raised.value.expected == ", ".join(map(fingerprint_of_line, lines))
    assert raised.value.found == fingerprint_of_line(lines[0])


class Through:
    """What a channel gives us."""

    def recv(self, size: int) -> bytes:
        return b"x" * size

    def send(self, data: bytes) -> int:
        return len(data)


def test_what_comes_through_a_server_is_allowed_beneath_as_well():
    beneath = Allowance(10, None)
    channel = CountingChannel(Through(), beneath)
    channel.recv(5)
    beneath.took(bounds.QUIET_BYTES)
    with pytest.raises(bounds.TooMuch):
        beneath.took(1)


@pytest.mark.parametrize("take", [lambda one: one.recv(1), lambda one: one.recv_into(bytearray(1))])
def test_when_the_time_is_over_nothing_is_taken_any_more(take: Callable[[CountingSocket], object]):
    ours, theirs = socket.socketpair()
    theirs.send(b"xx")
    with CountingSocket.of(ours, Allowance(10, -1)) as counted, theirs:
        assert (counted.family, counted.type) == (theirs.family, theirs.type)
        with pytest.raises(TooSlow):
            take(counted)


def test_a_probe_asks_again_and_not_without_a_pause():
    asked: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        asked.append(connection)
        connection.close()

    with listening(serve) as port:
        assert failing((HttpProbe(f"http://127.0.0.1:{port}/", timeout=0.8),), 5)
    assert 1 <= len(asked) <= 5


def _plan() -> engine.Plan:
    return engine.plan(MemoryHost(), State("test", (File("/x", b""),)))


def test_an_apply_that_no_host_knows_of_has_changed_nothing():
    answer = engine._ask_again(MemoryHost, _plan(), time.monotonic() + 60)
    assert (answer.state, answer.stage) == ("old", "transfer")


def test_where_nobody_answers_any_more_the_last_words_are_told():
    def gone() -> Host:
        raise Interrupted("web1", "gone")

    with pytest.raises(Interrupted) as raised:
        engine._ask_again(gone, _plan(), time.monotonic() + 0.1)
    assert raised.value.words == "gone"
