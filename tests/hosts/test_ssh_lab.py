"""Real hosts by SSH: whom we talk to, what we run, and how it ends."""

import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hosts.address import Address, parse_connection
from hosts.errors import HostKeyChanged, HostKeyUnknown, Interrupted, LoginRefused, TimedOut, Unreachable
from hosts.pool import Pool
from hosts.ssh import SSHHost, Target, read_host_key
from lab import Fleet, LabHost
from tests.hosts.conftest import Connect, target
from tests.lab_fixtures import LabKey

pytestmark = pytest.mark.lab


def processes(host: LabHost) -> str:
    return host.exec(["ps", "axo", "args"]).stdout.decode()


def test_first_contact_shows_the_key_that_the_host_has_and_pinned_it_lets_us_in(
    plain: LabHost, connect: Connect
) -> None:
    shown = read_host_key(parse_connection(plain.connection))
    listed = plain.exec(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout.decode()
    assert shown.fingerprint in listed
    assert shown.key == plain.host_key
    with pytest.raises(HostKeyUnknown) as caught:
        connect(plain, known_keys=()).run(["true"])
    assert (caught.value.key, caught.value.fingerprint) == (shown.key, shown.fingerprint)
    assert connect(plain, known_keys=(shown.key + " a comment",)).run(["hostname"]).text == plain.name


def test_a_changed_host_key_stops_everything(plain: LabHost, connect: Connect) -> None:
    key = "/etc/ssh/ssh_host_ed25519_key"
    host = connect(plain)
    before = plain.host_key
    host.run(["true"]).check()
    renew = f"cp -p {key} {key}.pub /root/ && rm {key} && ssh-keygen -qt ed25519 -N '' -f {key} && systemctl restart ssh"
    assert plain.exec(["sh", "-c", renew]).returncode == 0
    try:
        host.close()
        with pytest.raises(HostKeyChanged) as caught:
            host.run(["touch", "/root/reached"])
        assert caught.value.key == plain.host_key != before
    finally:
        plain.exec(["sh", "-c", f"mv /root/ssh_host* /etc/ssh/ && systemctl restart ssh; test -f {key}"])
    assert host.read("/root/reached") is None


def test_a_host_with_several_keys_shows_the_pinned_one(plain: LabHost, connect: Connect) -> None:
    keys = "/etc/ssh/ssh_host_%s_key"
    more = "".join(f"HostKey {keys % kind}\n" for kind in ("rsa", "ecdsa", "ed25519"))
    plain.exec(["tee", "/etc/ssh/sshd_config.d/keys.conf"], more.encode())
    plain.exec(["sh", "-c", "ssh-keygen -A; systemctl restart ssh"])
    for kind in ("ecdsa", "rsa", "ed25519"):
        key = plain.exec(["cat", f"{keys % kind}.pub"]).stdout.decode().strip()
        assert connect(plain, known_keys=(key,)).run(["true"]).code == 0
    plain.exec(
        ["sh", "-c", "rm /etc/ssh/ssh_host_rsa_key* /etc/ssh/ssh_host_ecdsa_key*; systemctl restart ssh"]
    )
    with pytest.raises(HostKeyChanged):
        connect(plain, known_keys=(key.replace("ssh-ed25519", "ecdsa-sha2-nistp256"),)).run(["true"])


def test_a_host_behind_another_is_reached_through_it(fleet: Fleet, lab_key: LabKey) -> None:
    outer, inner = fleet["pve1"], fleet["web1"]
    through = Target(
        Address(inner.address), (inner.host_key,), lab_key.private, gateway=target(outer, lab_key)
    )
    with SSHHost(through) as host:
        assert host.run(["hostname"]).text == "web1"
        assert read_host_key(Address(inner.address), target(outer, lab_key)).key == inner.host_key
    wrong = replace(through, known_keys=(outer.host_key,))
    with SSHHost(wrong) as host, pytest.raises(HostKeyChanged):
        host.run(["true"])


def test_another_key_is_refused(plain: LabHost, connect: Connect, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    stranger = replace(connect(plain).target, private_key=other.decode())
    with SSHHost(stranger) as host, pytest.raises(LoginRefused):
        host.run(["true"])


def test_argv_input_output_and_codes_arrive_as_they_are(plain: LabHost, connect: Connect) -> None:
    host = connect(plain)
    words = ["", "-n", "a\nb", "'", '"$(reboot)`', "*", "\\", "é\udcff", "!x #"]
    assert host.run(["printf", "%s\\0", *words]).out == b"".join(
        word.encode(errors="surrogateescape") + b"\0" for word in words
    )
    big = bytes(range(256)) * 20_000
    assert host.run(["cat"], stdin=big).out == big
    assert host.run(["wc", "-c"], stdin=big).text == str(len(big))
    assert host.run(["true"], stdin=big).code == 0
    both = host.run(["sh", "-c", "echo out; echo err >&2; echo $LC_ALL; exit 7"])
    assert (both.code, both.out, both.err) == (7, b"out\nC\n", b"err\n")
    assert host.run(["sh", "-c", "kill -9 $$"]).code == 255
    assert host.read("/etc/hostname") == f"{plain.name}\n".encode()
    assert host.read("/no/such") is None


def test_output_is_told_while_it_comes(plain: LabHost, connect: Connect) -> None:
    told: list[tuple[str, bytes, float]] = []
    connect(plain).run(
        ["sh", "-c", "echo one; sleep 0.5; echo two >&2"],
        on_output=lambda stream, data: told.append((stream, data, time.monotonic())),
    )
    assert [(stream, data) for stream, data, _ in told] == [("out", b"one\n"), ("err", b"two\n")]
    assert told[1][2] - told[0][2] > 0.3


def test_a_timeout_or_a_stop_ends_the_command_on_the_host(plain: LabHost, connect: Connect) -> None:
    host = connect(plain)
    with pytest.raises(TimedOut):
        host.run(["sh", "-c", "sleep 4242 & wait"], timeout=0.5)

    def stop(stream: str, data: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        host.run(["sh", "-c", "echo x; sleep 4243"], on_output=stop)
    time.sleep(0.3)
    assert "sleep 424" not in processes(plain)
    assert host.run(["true"]).code == 0


def test_a_service_that_keeps_the_output_open_does_not_hold_us_up(plain: LabHost, connect: Connect) -> None:
    begun = time.monotonic()
    assert connect(plain).run(["sh", "-c", "sleep 20 & echo started"]).out == b"started\n"
    assert time.monotonic() - begun < 5


def test_a_connection_that_dies_in_the_middle_is_interrupted(plain: LabHost, connect: Connect) -> None:
    host = connect(plain)
    host.run(["true"])
    threading.Timer(0.3, plain.cut).start()
    begun = time.monotonic()
    try:
        with pytest.raises(Interrupted):
            host.run(["sleep", "30"])
        assert time.monotonic() - begun < 10
        with pytest.raises(Unreachable):
            host.run(["true"])
    finally:
        plain.mend()
    assert host.run(["true"]).code == 0


def test_nobody_behind_the_address_is_unreachable(fleet: Fleet, lab_key: LabKey) -> None:
    nobody = Target(Address("127.0.0.1", port=1), ("ssh-ed25519 AAAA",), lab_key.private)
    with pytest.raises(Unreachable) as caught:
        SSHHost(nobody).run(["true"])
    assert "refused" in caught.value.words
    with pytest.raises(Unreachable):
        read_host_key(nobody.address)


def test_the_pool_lends_a_warm_connection_again_and_replaces_a_dead_one(
    plain: LabHost, lab_key: LabKey
) -> None:
    pool = Pool()
    place = target(plain, lab_key)
    with pool.connect(place) as first:
        first.run(["true"])
        with pool.connect(place) as beside:
            assert beside is not first
    with pool.connect(place) as again:
        assert again is first
        port = again.run(["sh", "-c", "echo $SSH_CONNECTION"]).text.split()[1]
    plain.exec(
        ["sh", "-c", f"kill $(ss -Htnp sport = 22 and dport = {port} | grep -o 'pid=[0-9]*' | cut -d= -f2)"]
    )
    with pool.connect(place) as replaced:
        assert replaced.run(["true"]).code == 0
    pool.close_all()
    assert not first.connected
    assert not replaced.connected


def test_an_idle_connection_is_closed(plain: LabHost, lab_key: LabKey) -> None:
    pool = Pool(idle_seconds=0.4)
    with pool.connect(target(plain, lab_key)) as host:
        host.run(["true"])
    assert host.connected
    time.sleep(1)
    assert not host.connected
    with suppress(OSError):
        pool.close_all()
