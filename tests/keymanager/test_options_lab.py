"""Options before a key, as a real sshd judges them: what the panel takes lets in, what it calls wrong does not.

Every option of sshd(8), AUTHORIZED_KEYS FILE FORMAT, with right and wrong values, alone and among others.
"""

import random
import subprocess

import pytest

from keymanager import key_options
from keymanager.bad_key import BadKey
from keymanager.openssh import parse_key
from tests.keymanager.test_login_lab import HOST, gets_in

pytestmark = pytest.mark.lab

# As they stand in sshd(8): the panel takes them, and with these values they let somebody in who runs "id -un".
RIGHT: dict[str, list[str]] = {
    "restrict": ["restrict", "Restrict"],
    "no-agent-forwarding": ["no-agent-forwarding"],
    "no-port-forwarding": ["no-port-forwarding"],
    "no-pty": ["no-pty", "NO-PTY"],
    "no-user-rc": ["no-user-rc"],
    "no-X11-forwarding": ["no-X11-forwarding", "no-x11-forwarding"],
    "verify-required": ["verify-required"],
    "agent-forwarding": ["restrict,agent-forwarding"],
    "port-forwarding": ["restrict,port-forwarding"],
    "pty": ["restrict,pty"],
    "user-rc": ["restrict,user-rc"],
    "X11-forwarding": ["restrict,X11-forwarding"],
    "expiry-time": [
        'expiry-time="20990101"', 'expiry-time="20990101Z"', 'expiry-time="209901012359"',
        'expiry-time="20990101235959Z"', 'expiry-time="99981231"',
    ],
    "from": [
        'from="*"', 'from="!192.0.2.1,*"', 'from="0.0.0.0/0"', 'from="0.0.0.0/0,::/0"', 'from="198.51.100.?,*.*"',
    ],
    "permitopen": [
        'permitopen="a:1"', 'permitopen="a:1",permitopen="b:*"', 'permitopen="[2001:db8::1]:80"',
        'permitopen="a:65535"',
    ],
    "permitlisten": [
        'permitlisten="8080"', 'permitlisten="*"', 'permitlisten="127.0.0.1:1"', 'permitlisten="[::1]:65535"',
        'permitlisten="*:80"',
    ],
    "command": [
        'command="id -un"', r'command="sh -c \"id -un\" # ssh-rsa AAAA"', 'command="id -un; : ,#=x"',
    ],
}  # fmt: skip
# The panel calls them wrong, and sshd refuses the whole line for them.
WRONG: dict[str, list[str]] = {
    "restrict": ['restrict="x"', "restrict=yes", "restrict2", "restrict, pty", "restrict ,pty", "restrict pty"],
    "no-agent-forwarding": ['no-agent-forwarding=""'],
    "no-port-forwarding": ['no-port-forwarding="no"'],
    "no-pty": ['no-pty="x"', "no-no-pty", "nopty"],
    "no-user-rc": ["no-user-rc=1"],
    "no-X11-forwarding": ['no-X11-forwarding="*"', "no-X12-forwarding"],
    "verify-required": ['verify-required="x"'],
    "agent-forwarding": ['restrict,agent-forwarding="x"'],
    "port-forwarding": ['restrict,port-forwarding="80"'],
    "pty": ['restrict,pty="x"'],
    "user-rc": ['restrict,user-rc="x"'],
    "X11-forwarding": ['restrict,X11-forwarding="x"'],
    "expiry-time": [
        "expiry-time", 'expiry-time=""', 'expiry-time="soon"', 'expiry-time="20261332"', 'expiry-time="19690101"',
        'expiry-time="2026-12-31"', 'expiry-time="209901"', "expiry-time=20990101",
    ],
    "from": [
        "from", 'from="192.0.2.1/24"', 'from="192.0.2.1/33"', 'from="2001:db8::/129"', "from=*",
        'from="!192.0.2.1"', 'from="!192.0.2.1,!192.0.2.2"', 'from="*,!*"', 'from="::ffff:0:0/96"',
        'from="*",from="*"', 'from="10.0.0.0/8/8"', 'from="0.0.0.0/0.0.0.0"', 'from="0.0.0.0/255.255.255.255"',
    ],
    "permitopen": [
        "permitopen", 'permitopen=""', 'permitopen="host"', 'permitopen="a:65536"', 'permitopen="a:0"',
        'permitopen="a:-1"', "permitopen=a:1", 'permitopen="80"',
    ],
    "permitlisten": [
        "permitlisten", 'permitlisten=""', 'permitlisten="0"', 'permitlisten="99999"', 'permitlisten="host:70000"',
        'permitlisten="a:b"', "permitlisten=8080",
    ],
    "command": [
        "command", 'command ="id"', 'command= "id"',
        r'command="id -un; : \\"', 'command="a"b', "command=id", 'command="id", no-pty', 'command="id"x="y"',
    ],
}  # fmt: skip
NO_SUCH = ["no-such", 'such="x"', "=", '"x"']
# sshd takes them; the panel does not, because they give more than the key alone, or are odd.
NOT_HERE = {
    "cert-authority": "cert-authority",
    "environment": 'environment="A=b"',
    "no-touch-required": "no-touch-required",
    "principals": 'principals="dora"',
    "tunnel": 'tunnel="0"',
}
ODD = [
    'permitopen="a:http"',
    'permitopen=":80"',
    "no-pty,,no-pty",
    ",no-pty",
    "no-pty,",
    "no-pty,no-pty",
    "pty",
]
WRITE = "umask 077; mkdir -p ~dora/.ssh; cat >~dora/.ssh/authorized_keys; chown -R dora: ~dora/.ssh"


@pytest.fixture
def key(fleet, tmp_path) -> tuple[object, str, str]:
    """A host with a user, the private key's path, and the public key's line."""
    host, path = fleet[HOST], tmp_path / "dora"
    assert host.exec(["useradd", "-m", "-s", "/bin/sh", "dora"]).returncode == 0
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dora", "-f", path], check=True)
    return host, str(path), path.with_suffix(".pub").read_text().strip()


def lets_in(key, options: str, *, as_typed: bool = False) -> bool:
    """Whether this sshd lets in with these options; as the panel writes them, unless it is `as_typed`."""
    host, private, public = key
    line = f"{options} {public}"
    line = line if as_typed else parse_key(line).line
    assert host.exec(["sh", "-c", WRITE], stdin=f"{line}\n".encode()).returncode == 0
    return gets_in(host, private, "dora")


def test_every_option_that_sshd_knows_is_tried_here(fleet) -> None:
    known = {*key_options._FLAGS, *key_options._GIVE_BACK, *key_options._WITH_VALUE, *key_options._WIDENING}
    assert {name.lower() for name in (*RIGHT, *NOT_HERE)} == known
    assert RIGHT.keys() == WRONG.keys()
    for name in known:  # sshd has them in lower case, and reads "no-" before each
        looked = fleet[HOST].exec(["grep", "-aqF", "--", name.removeprefix("no-"), "/usr/sbin/sshd"])
        assert looked.returncode == 0, name


@pytest.mark.parametrize("name", RIGHT)
def test_sshd_takes_what_the_panel_takes_and_refuses_what_it_calls_wrong(key, name) -> None:
    for options in RIGHT[name]:
        assert lets_in(key, options), options
    for options in WRONG[name]:
        with pytest.raises(BadKey):
            parse_key(f"{options} {key[2]}")
        assert not lets_in(key, options, as_typed=True), options


def test_sshd_refuses_what_is_no_option(key) -> None:
    for options in NO_SUCH:
        with pytest.raises(BadKey):
            parse_key(f"{options} {key[2]}")
        assert not lets_in(key, options, as_typed=True), options


def test_what_gives_more_than_the_key_alone_or_is_odd_is_refused_whatever_sshd_says(key) -> None:
    for options in NOT_HERE.values():
        with pytest.raises(BadKey, match="more than the key alone"):
            parse_key(f"{options} {key[2]}")
    for options in ODD:
        with pytest.raises(BadKey):
            parse_key(f"{options} {key[2]}")


def test_any_options_together_let_in_and_one_wrong_one_among_them_does_not(key) -> None:
    for _turn in range(40):
        names = random.sample(sorted(RIGHT), random.randint(2, 5))
        options = [random.choice(RIGHT[name]) for name in names]
        once = [one for one in options if not one.lower().startswith("restrict")]
        restricted = [one for one in options if one.lower().startswith("restrict")]
        # "restrict" once, and before what gives a part of it back.
        given = ",".join([*restricted[:1], *once])
        assert lets_in(key, given), given
        wrong = random.choice(WRONG[random.choice(sorted(set(WRONG) - set(names)))])
        at = random.randint(0, len(once))
        mixed = ",".join([*once[:at], wrong, *once[at:]])
        with pytest.raises(BadKey):
            parse_key(f"{mixed} {key[2]}")
        assert not lets_in(key, mixed, as_typed=True), mixed
