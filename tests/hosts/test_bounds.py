"""A hostile host: whatever it sends, and however slowly, it costs bounded memory and time, and a sentence says so."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import paramiko
import pytest

from hosts import bounds, connecting, wire
from hosts.changes import read_manifest
from hosts.channels import CountingChannel
from hosts.engine import plan, recover
from hosts.errors import AnswerTooLong, CommandFailed, HostError, Interrupted, TimedOut, Unreachable
from hosts.host import Result
from hosts.memory import MemoryHost
from hosts.pool import Pool
from hosts.ssh import SSHHost, read_host_key
from hosts.state import File, State
from tests.hosts.hostile import (
    FLOOD,
    hostile,
    listening,
    memory_growth,
    send_beyond_the_window,
    target_at,
)

MOST_GROWTH = 64  # MiB


@contextmanager
def within(seconds: float, clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """The block costs neither more time than that nor much memory. What is not bounded would take a minute or more."""
    began = clock()
    with memory_growth() as grown:
        yield
    assert clock() - began < seconds
    assert grown() < MOST_GROWTH


def endless_output(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall(FLOOD)


def endless_errors(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall_stderr(FLOOD)


def flood(channel: paramiko.Channel) -> None:
    while True:
        send_beyond_the_window(channel)


def drip(channel: paramiko.Channel) -> None:
    while True:
        channel.sendall(b"x")
        time.sleep(0.001)


@pytest.mark.parametrize("act", [endless_output, endless_errors, flood])
def test_an_endless_answer_is_cut_and_said(act) -> None:
    with hostile(act) as target:
        host = SSHHost(target, "evil1")
        with within(50), pytest.raises(AnswerTooLong, match="evil1 sent far more"):
            host.run(["true"], timeout=60)
        host.close()


def test_a_file_without_end_is_cut_as_well() -> None:
    with hostile(endless_output) as target, within(50), pytest.raises(AnswerTooLong):
        SSHHost(target).read("/etc/hosts")


def test_output_that_is_handed_on_may_be_long_but_ends_in_its_time_and_is_not_kept() -> None:
    came = 0

    def take(_stream: str, data: bytes) -> None:
        nonlocal came
        came += len(data)

    with hostile(endless_output) as target, within(50), pytest.raises(TimedOut):
        SSHHost(target).run(["true"], timeout=2, on_output=take)
    assert came > bounds.LAST_BYTES


def test_a_connection_that_is_lost_at_the_end_of_the_time_does_not_hide_that_the_time_was_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hosts.conversation.END_SECONDS", 0.0)

    def take(_stream: str, _data: bytes) -> None:
        time.sleep(0.7)  # longer than all that the host is allowed: nothing can be sent to it any more

    with hostile(drip) as target, within(50), pytest.raises(TimedOut):
        SSHHost(target).run(["true"], timeout=0.5, on_output=take)


def test_a_way_through_another_server_is_closed_also_when_that_one_is_lost() -> None:
    with hostile(drip) as target:
        connection = connecting.open_connection(target, "gateway")
        allowance = connecting.allowance_of(connection)
        way = CountingChannel(connection.transport.open_session(), allowance)
        allowance.broken = bounds.TooSlow("it took too long")
        way.close()
        connection.close()
    assert way.closed


def test_of_long_output_that_is_handed_on_the_end_is_kept() -> None:
    def act(channel: paramiko.Channel) -> None:
        for _ in range(1200):
            channel.sendall(FLOOD)
        channel.sendall(b"the end")
        channel.send_exit_status(0)
        channel.close()

    came = bytearray()
    with hostile(act) as target:
        host = SSHHost(target)
        result = host.run(["true"], on_output=lambda _stream, data: came.extend(data[-7:]))
        host.close()
    assert len(result.out) == bounds.LAST_BYTES
    assert result.out.endswith(b"the end")
    assert came.endswith(b"the end")


def test_a_drip_ends_with_the_time_that_a_command_has() -> None:
    with hostile(drip) as target, within(50), pytest.raises(TimedOut):
        SSHHost(target).run(["true"], timeout=1)


def test_a_host_that_never_says_whether_it_runs_a_command_is_given_up() -> None:
    with hostile(lambda _channel: None, silent=True) as target, within(50), pytest.raises(TimedOut):
        SSHHost(target).run(["true"], timeout=1)


def test_a_host_that_floods_before_it_takes_the_command_is_cut() -> None:
    with hostile(flood, silent=True) as target, within(50), pytest.raises(AnswerTooLong):
        SSHHost(target).run(["true"], timeout=20)


def test_a_warm_connection_that_is_flooded_is_lost_and_costs_nothing() -> None:
    def act(channel: paramiko.Channel) -> None:
        channel.send_exit_status(0)
        channel.shutdown_write()
        if not flooding:
            return
        for _ in range(6000):
            send_beyond_the_window(channel)

    flooding = True
    pool = Pool()
    with hostile(act) as target, within(50):
        with pool.connect(target) as host, suppress(HostError):
            host.run(["true"])
        time.sleep(2)
        flooding = False
        with pool.connect(target) as host:
            with suppress(Interrupted):
                host.run(["true"])
            assert host.run(["true"]).code == 0
    pool.close_all()


def test_a_long_honest_answer_comes_whole() -> None:
    def act(channel: paramiko.Channel) -> None:
        for _ in range(bounds.ANSWER_BYTES // 4096):
            channel.sendall(b"y" * 4096)
        channel.send_exit_status(0)
        channel.close()

    with hostile(act) as target:
        host = SSHHost(target)
        assert len(host.run(["true"]).out) == bounds.ANSWER_BYTES
        assert host.run(["true"]).code == 0
        host.close()


def endless_banner(connection: socket.socket) -> None:
    while True:
        connection.sendall(FLOOD)


def endless_lines(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"welcome\r\n" * 1000)


def dripping_banner(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"S")
        time.sleep(0.05)


def endless_packet(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-x\r\n\xff\xff\xff\xfc")
    while True:
        connection.sendall(FLOOD)


def dripping_packet(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-x\r\n\x00\x00\x80\x04")
    while True:
        connection.sendall(b"x")
        time.sleep(0.05)


def endless_ignore(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-x\r\n")
    while True:
        connection.sendall(b"\x00\x00\x00\x0c\x06\x02\x00\x00\x00\x00" + b"p" * 6)


BEFORE_LOGIN = [
    endless_banner,
    endless_lines,
    dripping_banner,
    endless_packet,
    dripping_packet,
    endless_ignore,
]


@pytest.mark.parametrize("serve", BEFORE_LOGIN)
def test_before_the_login_little_is_read_and_not_for_long(serve) -> None:
    with listening(serve) as port, within(50):
        with pytest.raises(Unreachable):
            SSHHost(target_at(port)).run(["true"])
        with pytest.raises(Unreachable):
            read_host_key(target_at(port).address, timeout=1.0)


def test_an_endless_banner_is_said_as_such() -> None:
    with listening(endless_banner) as port, pytest.raises(Unreachable, match="more than 256 KiB"):
        read_host_key(target_at(port).address, timeout=10.0)


class Answering(MemoryHost):
    """A host whose shell answers this to whatever it is asked."""

    def __init__(self, out: bytes) -> None:
        super().__init__()
        self.said = out

    def run(self, argv: Sequence[str], **_options: Any) -> Result:
        return Result(0, self.said, argv=tuple(argv))


STATE = State("web", (File("/etc/web/site.conf", b"new\n"),))
NOTHING = wire.text("")


@pytest.mark.parametrize(
    "answer",
    [
        wire.lines("9" * 5000),
        NOTHING * 2 + wire.text(wire.lines("run", 9_999_999) + b"0\n/x\na open\n" * 1_000_000) + NOTHING,
        NOTHING * 3
        + wire.text(wire.lines("f 644 root root 9000000 " + "0" * 64))
        + b" 1\n"
        + NOTHING
        + b"x" * 9_000_000,
        NOTHING * 3 + wire.text(wire.lines("a")) + b" 12" * 5_000_000 + b"\n",
    ],
    ids=["digits", "entries", "content", "numbers"],
)
def test_an_answer_that_is_within_the_bounds_but_of_no_sense_is_garbled_and_costs_little(answer) -> None:
    host = Answering(b"gestion plan\n" + answer)
    with within(5, time.process_time), pytest.raises(Interrupted, match="cannot be read"):
        plan(host, STATE)


def test_a_manifest_of_many_entries_is_read_in_time_by_their_number() -> None:
    data = wire.lines("run", 9_000)
    data += b"".join(wire.text(f"/x{number}") + wire.lines("a open") for number in range(9_000))
    seen = b"a\n" * 9_001
    answer = NOTHING * 2 + wire.text(data) + wire.text(seen) + b"\n" + NOTHING
    assert len(read_manifest(data)) == 9_000
    with within(5, time.process_time):
        assert len(plan(Answering(b"gestion plan\n" + answer), STATE).changes) == 9_001


def test_two_files_whose_lines_take_long_to_compare_are_not_compared() -> None:
    theirs = b"".join(b"%d\n" % (number % 150) for number in range(15_000))
    ours = b"".join(b"%d\n" % (number * 7 % 150) for number in range(15_000))
    host = MemoryHost(files={"/etc/web/site.conf": theirs})
    with within(5, time.process_time):
        assert "too many lines" in plan(host, State("web", (File("/etc/web/site.conf", ours),))).diff


def test_the_words_of_an_error_are_cut() -> None:
    assert len(CommandFailed("x", "w" * 10_000_000, command="c", code=1).words) == bounds.WORDS
    host = Answering(b"gestion recover\n" + NOTHING * 2 + wire.text("web\nrun old\n" + "w" * 9_000_000))
    assert all(len(one.words) <= bounds.WORDS for one in recover(host))
