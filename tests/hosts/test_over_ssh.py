"""The SSH driver and its pool against a server in this process; against real hosts: test_ssh.py and test_pool.py."""

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import paramiko
import psutil
import pytest

from hosts import connecting
from hosts.bounds import Allowance
from hosts.connecting import _errors, fingerprint_of_line
from hosts.conversation import Conversation
from hosts.errors import AnswerTooLong, CommandFailed, Interrupted, TimedOut, Unreachable
from hosts.pool import Pool
from hosts.ssh import SSHHost, read_host_key
from hosts.target import Target
from tests.hosts.hostile import ssh_server
from tests.hosts.shell import by_shell
from tests.waiting import wait_for


@pytest.fixture
def target() -> Iterator[Target]:
    with ssh_server(by_shell) as reached:
        yield reached


@pytest.fixture
def host(target: Target) -> Iterator[SSHHost]:
    made = SSHHost(target, "web1")
    yield made
    made.close()


def test_words_input_and_code_go_there_and_back(host: SSHHost) -> None:
    done = host.run(["sh", "-c", 'cat; echo "$1" >&2; exit 7', "sh", "a  b"], stdin=b"in\0")
    assert (done.code, done.out, done.err) == (7, b"in\0", b"a  b\n")
    assert (done.host, done.argv[0]) == ("web1", "sh")


def test_each_stream_is_handed_on_under_its_name(host: SSHHost) -> None:
    came: list[tuple[str, bytes]] = []
    host.run(["sh", "-c", "echo no >&2"], on_output=lambda *one: came.append(one))
    host.run(["sh", "-c", "echo yes"], on_output=lambda *one: came.append(one))
    assert came == [("err", b"no\n"), ("out", b"yes\n")]


def test_the_time_of_a_command_begins_when_we_are_logged_in(host: SSHHost, monkeypatch) -> None:
    opened, seconds = connecting.open_connection, 5.0

    def slowly(*words: Any) -> Any:
        time.sleep(seconds)
        return opened(*words)

    monkeypatch.setattr(connecting, "open_connection", slowly)
    assert host.run(["echo", "on"], timeout=seconds).text == "on"


def test_what_the_host_itself_ended_in_its_time_took_too_long_also_where_we_hear_of_it_late(
    host: SSHHost, monkeypatch
) -> None:
    ended_so_by_itself = ["sh", "-c", "exit 124"]
    assert host.run(ended_so_by_itself).code == 124
    hold = Conversation.hold

    def late(self: Conversation, until: float) -> None:
        hold(self, until)
        time.sleep(max(until - time.monotonic(), 0) + 0.1)

    monkeypatch.setattr(Conversation, "hold", late)
    with pytest.raises(TimedOut):
        host.run(ended_so_by_itself, timeout=3)


def test_a_file_is_read_an_absent_one_is_none_and_what_cannot_be_read_is_said(
    host: SSHHost, tmp_path
) -> None:
    (tmp_path / "a").write_bytes(b"\0\xff")
    assert host.read(str(tmp_path / "a")) == b"\0\xff"
    assert host.read(str(tmp_path / "b")) is None
    with pytest.raises(CommandFailed):
        host.read(str(tmp_path))


class Stop(Exception):  # noqa: N818 - what a listener may raise
    """Enough was heard."""


def stop(_stream: str, _data: bytes) -> None:
    raise Stop


def test_what_is_stopped_is_ended_there_unless_it_shall_survive(host: SSHHost, tmp_path) -> None:
    script = 'echo $$ >"$1"; trap "" HUP; echo on; until [ -e "$2" ]; do sleep 0.05; done; rm "$1"'
    ended, survivor, go = (tmp_path / name for name in ("ended", "survivor", "go"))
    for place, survive in ((ended, False), (survivor, True)):
        with pytest.raises(Stop):
            host.run(
                ["sh", "-c", script, "sh", str(place), str(go)],
                on_output=stop,
                survive=survive,
            )
    wait_for(lambda: not psutil.pid_exists(int(ended.read_text())), name="the end")
    assert psutil.pid_exists(int(survivor.read_text()))
    go.touch()
    wait_for(lambda: not survivor.exists(), name="what survived")


def test_where_a_command_cannot_be_ended_the_connection_is_given_up() -> None:
    def serve(channel: paramiko.Channel, command: bytes) -> None:
        transport: Any = channel.transport
        transport.server_object.check_channel_request = lambda _kind, _number: 1
        by_shell(channel, command)

    with ssh_server(serve) as target:
        host = SSHHost(target)
        with pytest.raises(Stop):
            host.run(["sh", "-c", "echo on; sleep 0.5"], on_output=stop)
        assert host.run(["echo", "anew"]).text == "anew"
        with pytest.raises(Interrupted):
            host.run(["echo", "once more"])
        host.close()


def test_a_connection_is_alive_while_the_host_answers_on_it(host: SSHHost) -> None:
    assert host.alive() is False
    host.run(["true"])
    assert host.alive() is True
    assert host.alive() is True
    assert host.run(["echo", "on"]).text == "on"
    host.close()
    assert host.alive() is False


def test_a_warm_connection_is_used_again_and_a_dead_one_is_not(target: Target) -> None:
    pool = Pool()
    with pool.connect(target, "first") as one:
        one.run(["true"])
    with pool.connect(target, "second") as two:
        assert (two is one, two.name) == (True, "second")
    two.close()
    with pool.connect(target) as three:
        assert three.run(["echo", "on"]).text == "on"
        assert three.name == "127.0.0.1"
    pool.close_all()
    assert not three.alive()


def test_what_is_not_used_is_closed_also_what_came_while_other_things_were_waiting(target: Target) -> None:
    pool = Pool(idle_seconds=0.4)
    with pool.connect(target) as second:
        second.run(["true"])
        with pool.connect(target) as first:
            first.run(["true"])
        time.sleep(0.2)
    assert first is not second
    wait_for(lambda: not first.alive(), name="the end of the first")
    wait_for(lambda: not second.alive(), name="the end of the second")


def test_a_fingerprint_is_the_one_that_ssh_keygen_shows(target: Target, tmp_path) -> None:
    (line,) = target.known_keys
    (tmp_path / "key.pub").write_text(f"{line}\n")
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "key.pub")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert fingerprint_of_line(line) in shown
    found = read_host_key(target.address)
    assert (found.key, found.fingerprint) == (line, fingerprint_of_line(line))


def test_a_host_that_is_silent_is_said_to_be() -> None:
    with pytest.raises(Unreachable) as raised, _errors("web1", (), Allowance()):
        raise TimeoutError
    assert raised.value.words == "no answer in time"


def test_output_and_errors_together_are_bounded(host: SSHHost) -> None:
    with pytest.raises(AnswerTooLong):
        host.run(["sh", "-c", "head -c 9M /dev/zero; head -c 9M /dev/zero >&2"])
