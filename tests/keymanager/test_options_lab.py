"""Options before a key, as a real sshd judges them: what the panel takes lets its holder in."""

import subprocess

import pytest

from keymanager.bad_key import BadKey
from keymanager.openssh import parse_key
from tests.keymanager.test_login_lab import HOST, gets_in

pytestmark = pytest.mark.lab

LET_IN = [
    "restrict", "restrict,pty,X11-forwarding,port-forwarding,agent-forwarding,user-rc", "no-pty,no-user-rc",
    "no-agent-forwarding,no-port-forwarding,no-X11-forwarding", 'expiry-time="20990101"',
    'expiry-time="20990101Z"', 'expiry-time="209901012359"', 'expiry-time="20990101235959Z"',
    'expiry-time="99981231"', 'from="*"', 'from="!192.0.2.1,*"', 'from="0.0.0.0/0"', 'from="198.51.100.?,*.*"',
    'permitopen="a:1",permitopen="b:*"', 'permitopen="[2001:db8::1]:80"', 'permitopen="a:65535"',
    'permitlisten="8080"', 'permitlisten="*"', 'permitlisten="127.0.0.1:1"', 'permitlisten="[::1]:65535"',
    'command="id -un"', r'command="sh -c \"id -un\" # ssh-rsa AAAA"', 'restrict,command="id -un"',
]  # fmt: skip
KEPT_OUT = [
    "no-such", "command", 'no-pty="x"', 'from="192.0.2.1/24"', 'from="192.0.2.1/33"', 'permitopen="host"',
    'permitopen="a:65536"', 'permitopen="a:0"', 'permitlisten="0"', 'permitlisten="99999"',
    'permitlisten="host:70000"', 'expiry-time="soon"', 'expiry-time="20261332"', 'expiry-time="19690101"',
    'command="a"b',
]  # fmt: skip


@pytest.fixture
def key(fleet, tmp_path) -> tuple[object, str, str]:
    """A host with a user, the private key's path, and the public key's line."""
    host, path = fleet[HOST], tmp_path / "dora"
    assert host.exec(["useradd", "-m", "-s", "/bin/sh", "dora"]).returncode == 0
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dora", "-f", path], check=True)
    return host, str(path), path.with_suffix(".pub").read_text().strip()


WRITE = "umask 077; mkdir -p ~dora/.ssh; cat >~dora/.ssh/authorized_keys; chown -R dora: ~dora/.ssh"


def test_sshd_takes_the_options_that_the_panel_takes_and_refuses_what_it_calls_wrong(key) -> None:
    host, private, public = key
    for options, let_in in (*((one, True) for one in LET_IN), *((one, False) for one in KEPT_OUT)):
        line = f"{options} {public}"
        if let_in:
            line = parse_key(line).line
        else:
            with pytest.raises(BadKey):
                parse_key(line)
        assert host.exec(["sh", "-c", WRITE], stdin=f"{line}\n".encode()).returncode == 0
        assert gets_in(host, private, "dora") == let_in, line
