"""SSH to real hosts: whom we trust, what arrives, and how things end."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from hosts.address import Address, parse_connection
from hosts.errors import (
    CommandFailed,
    HostKeyChanged,
    HostKeyUnknown,
    Interrupted,
    LoginRefused,
    TimedOut,
    Unreachable,
)
from hosts.ssh import SSHHost, read_host_key
from hosts.target import Target
from lab import Fleet, LabHost
from tests.hosts.conftest import logged
from tests.waiting import wait_for

pytestmark = pytest.mark.lab
SLOW_GREP = b"""#!/bin/sh
sleep 7
/usr/bin/grep.real "$@"
touch /run/has-looked
"""
ODD = [
    "",
    " ",
    "-",
    "--",
    "\n",
    "a\n\nb\n",
    "'",
    '"',
    "$(id)",
    "`id`",
    "\\",
    "*",
    "é",
    "\udcff",
    "\r\n",
    "%s",
    "#",
    "!",
]


def processes(machine: LabHost, words: str) -> bool:
    return machine.exec(["pgrep", "-xf", words]).returncode == 0


def ends(machine: LabHost, words: str) -> None:
    """Until no process with this command line is left."""
    wait_for(lambda: not processes(machine, words), name=f"the end of {words}")


def test_at_first_contact_the_key_is_shown_and_once_pinned_we_get_in(
    machine: LabHost, target_of: Callable[..., Target]
) -> None:
    with pytest.raises(HostKeyUnknown) as unknown:
        SSHHost(target_of(machine, known_keys=())).run(["true"])
    shown = read_host_key(Address(machine.address))
    assert (unknown.value.key, unknown.value.fingerprint) == (shown.key, shown.fingerprint)
    assert shown.key == machine.host_key
    host = SSHHost(target_of(machine, known_keys=(shown.key,)))
    assert host.run(["hostname"]).text == machine.name
    host.close()


def test_the_fingerprint_is_the_one_that_ssh_keygen_shows_on_the_host(machine: LabHost) -> None:
    shown = machine.exec(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout.decode()
    assert read_host_key(Address(machine.address)).fingerprint in shown.split()


def test_a_changed_host_key_stops_everything_before_the_login(
    fleet: Fleet, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    other = fleet["files1"].host_key
    logins = logged(machine, "ssh", "Accepted")
    with pytest.raises(HostKeyChanged) as changed:
        SSHHost(target_of(machine, known_keys=(other,), password="secret")).run(["touch", "/root/got-in"])
    assert changed.value.key == machine.host_key
    assert changed.value.found == read_host_key(Address(machine.address)).fingerprint
    assert machine.exec(["test", "-e", "/root/got-in"]).returncode != 0
    assert logged(machine, "ssh", "Accepted") == logins


def test_one_of_several_pinned_keys_is_enough(
    fleet: Fleet, machine: LabHost, target_of: Callable[..., Target]
) -> None:
    rsa = machine.exec(
        ["sh", "-c", "cut -d' ' -f1,2 /etc/ssh/ssh_host_rsa_key.pub 2>/dev/null"]
    ).stdout.decode()
    keys = tuple(key for key in (rsa.strip(), machine.host_key) if key)
    host = SSHHost(target_of(machine, known_keys=keys))
    assert host.run(["true"]).code == 0
    host.close()


def test_a_key_that_the_host_does_not_know_is_refused(
    machine: LabHost, target_of: Callable[..., Target]
) -> None:
    target = target_of(machine)
    stranger = replace(target, address=replace(target.address, user="nobody"))
    with pytest.raises(LoginRefused, match="authorized_keys"):
        SSHHost(stranger).run(["true"])
    with pytest.raises(LoginRefused):
        SSHHost(replace(target, private_key="no key")).run(["true"])


def test_where_no_server_listens_the_words_say_so(machine: LabHost, target_of: Callable[..., Target]) -> None:
    target = target_of(machine)
    with pytest.raises(Unreachable, match="refused"):
        SSHHost(replace(target, address=Address(machine.address, port=2299))).run(["true"])
    with pytest.raises(Unreachable, match=r"banner|SSH|protocol"):
        SSHHost(replace(target, address=Address(machine.address, port=80))).run(["true"])
    with pytest.raises(Unreachable):
        SSHHost(replace(target, address=Address("no-such-host.invalid"))).run(["true"])


def test_words_and_input_arrive_byte_for_byte(host: SSHHost) -> None:
    done = host.run(["sh", "-c", 'printf "%s\\0" "$@"; cat >&2', "sh", *ODD], stdin=b"\0\xff\r\n")
    assert done.out == b"".join(word.encode(errors="surrogateescape") + b"\0" for word in ODD)
    assert done.err == b"\0\xff\r\n"


def test_much_goes_both_ways_at_once(host: SSHHost) -> None:
    data = bytes(range(256)) * 20_000
    assert host.run(["sh", "-c", "tee /dev/stderr"], stdin=data) == replace(
        host.run(["true"]), out=data, err=data
    )


def test_exit_codes_signals_and_words_are_given_back(host: SSHHost) -> None:
    assert host.run(["sh", "-c", "exit 7"]).code == 7
    assert host.run(["sh", "-c", "kill -9 $$"]).code == 137
    with pytest.raises(CommandFailed, match="no such thing"):
        host.run(["sh", "-c", "echo no such thing >&2; exit 1"]).check()
    assert host.run(["no-such-program"]).code == 127


def test_files_are_read_as_they_are_and_absent_ones_are_none(host: SSHHost, machine: LabHost) -> None:
    name = "/root/-a 'b'\n$(c)"
    machine.exec(["sh", "-c", 'cat >"$1"', "sh", name], stdin=b"\0\xff\n")
    assert host.read(name) == b"\0\xff\n"
    assert host.read("/root/no-such-file") is None
    with pytest.raises(CommandFailed):
        host.read("/root")


def test_output_is_given_as_it_comes(host: SSHHost, machine: LabHost) -> None:
    came: list[tuple[str, bytes]] = []

    def heard(stream: str, data: bytes) -> None:
        came.append((stream, data))
        machine.exec(["touch", "/run/heard"])

    machine.exec(["rm", "-f", "/run/heard"])
    host.run(
        ["sh", "-c", "echo one; until [ -e /run/heard ]; do sleep 0.1; done; echo two >&2"], on_output=heard
    )
    assert came == [("out", b"one\n"), ("err", b"two\n")]


def test_a_stop_from_the_output_ends_the_process_on_the_host(host: SSHHost, machine: LabHost) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop(_stream: str, _data: bytes) -> None:
        raise Stop

    with pytest.raises(Stop):
        host.run(["sh", "-c", "echo go; sleep 321; true"], on_output=stop)
    ends(machine, "sleep 321")
    assert host.run(["true"]).code == 0


def test_a_host_that_is_slow_to_take_a_stop_ends_the_process_all_the_same(
    host: SSHHost, machine: LabHost
) -> None:
    class Stop(Exception):  # noqa: N818
        pass

    def stop(_stream: str, _data: bytes) -> None:
        machine.exec(
            ["sh", "-c", "rm -f /run/has-looked; mv /usr/bin/grep /usr/bin/grep.real; cat >/usr/bin/grep"],
            stdin=SLOW_GREP,
        )
        machine.exec(["chmod", "755", "/usr/bin/grep"])
        raise Stop

    try:
        with pytest.raises(Stop):
            host.run(["sh", "-c", "echo go; sleep 324; true"], on_output=stop)
        assert machine.exec(["test", "-e", "/run/has-looked"]).returncode == 0, "nobody waited for the end"
        ends(machine, "sleep 324")
    finally:
        machine.exec(["mv", "/usr/bin/grep.real", "/usr/bin/grep"])
        machine.exec(["pkill", "-xf", "sleep 324"])


def test_a_command_that_takes_too_long_is_ended_on_the_host(host: SSHHost, machine: LabHost) -> None:
    with pytest.raises(TimedOut, match=r"0\.5 seconds"):
        host.run(["sh", "-c", "sleep 322; true"], timeout=0.5)
    ends(machine, "sleep 322")


def test_a_process_that_keeps_the_output_open_does_not_hold_us_up(host: SSHHost, machine: LabHost) -> None:
    begun = time.monotonic()
    assert host.run(["sh", "-c", "sleep 326 & echo started"]).out == b"started\n"
    assert time.monotonic() - begun < 50
    assert machine.exec(["pkill", "-xf", "sleep 326"]).returncode == 0


def test_what_shall_survive_is_left_to_finish(host: SSHHost, machine: LabHost) -> None:
    machine.exec(["sh", "-c", "rm -f /run/survivor /run/go-on /root/survived"])
    script = "touch /run/survivor; until [ -e /run/go-on ]; do sleep 0.1; done; touch /root/survived"
    with pytest.raises(TimedOut):
        host.run(["sh", "-c", f"trap '' HUP PIPE; {script}"], timeout=0.3, survive=True)
    wait_for(lambda: host.read("/run/survivor") is not None)
    assert host.read("/root/survived") is None
    machine.exec(["touch", "/run/go-on"])
    wait_for(lambda: host.read("/root/survived") is not None)


def test_a_connection_that_dies_in_the_middle_is_an_interrupted_and_the_next_use_connects_anew(
    host: SSHHost, machine: LabHost
) -> None:
    def kill(_stream: str, _data: bytes) -> None:
        machine.exec(["pkill", "-f", "^sshd: root@notty"])

    with pytest.raises(Interrupted):
        host.run(["sh", "-c", "echo on; exec sleep 60"], on_output=kill)
    assert host.run(["hostname"]).text == machine.name


def test_a_server_behind_a_gateway_is_reached_through_it(
    fleet: Fleet, target_of: Callable[..., Target]
) -> None:
    web1, pve1 = fleet["web1"], fleet["pve1"]
    inside = replace(
        target_of(web1), address=parse_connection(f"root@{web1.address}"), gateway=target_of(pve1)
    )
    host = SSHHost(inside, "web1")
    assert host.run(["hostname"]).text == "web1"
    assert read_host_key(inside.address, inside.gateway).key == web1.host_key
    host.close()
    nobody = SSHHost(replace(inside, address=Address("10.0.0.250"), connect_timeout=3.0))
    with pytest.raises(Unreachable, match="through"):
        nobody.run(["true"])
    with pytest.raises(HostKeyChanged):
        SSHHost(replace(inside, gateway=replace(target_of(pve1), known_keys=(web1.host_key,)))).run(["true"])
