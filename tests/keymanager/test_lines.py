"""What the panel takes for a line of authorized_keys is what the hosts' script takes, and sshd."""

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keymanager.bad_key import BadKey
from keymanager.desired import SCRIPT
from keymanager.lines import MOST_BYTES, TYPES, is_key, is_user
from keymanager.openssh import BITS, parse_keys
from tests.keymanager.fleets import ed25519_blob
from tests.keymanager.test_desired import made

BLOB = ed25519_blob(b"somebody")
KEY = f"ssh-ed25519 {BLOB}".encode()
# What the script on hosts that were not updated since takes; an answer with any other line is no good to them.
OLD_VALUE = r'"([^"\\[:cntrl:]]|\\+[^\\[:cntrl:]])*"'
OLD_OPTION = f"[A-Za-z0-9-]+(={OLD_VALUE})?"
OLD_TYPE = (
    "(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh[.]com)"
)
OLD_KEY = f"({OLD_OPTION}(,{OLD_OPTION})* )?{OLD_TYPE} AAAA[A-Za-z0-9+/]+={{0,3}}( [^[:cntrl:]]*)?"

PIECES = st.sampled_from(
    [KEY, b" ", b"\t", b",", b"=", b'"', b"\\", b'\\"', b"no-pty", b"Command=", b'command="', b'from="1.2.3.4"',
     b"ssh-ed25519", b"ssh-dss", b"AAAA", b"==", b"#", b"# users a 1", b"x", b"\0", b"\r", b"\x0b", b"\x1b[2J",
     b"\x7f", b"\x80", b"\xff", "é\x85\u2028\u202e".encode(), b"$(id)", b"### ", b"x" * MOST_BYTES]
) | st.binary(max_size=4).map(lambda raw: raw.replace(b"\n", b""))  # fmt: skip
ANY = st.lists(PIECES, max_size=8).map(b"".join)
AROUND = st.tuples(ANY, st.sampled_from([b"", b" ", b"\t"]), st.sampled_from([b"", b" ", b"\t"]), ANY).map(
    lambda four: four[0] + four[1] + KEY + four[2] + four[3]
)
QUOTED = ANY.map(lambda inside: b'command="' + inside + b'" ' + KEY + b" c")
LINES = st.lists(st.one_of(ANY, AROUND, QUOTED), min_size=1, max_size=40)
slow = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def taken_by_the_script(folder: Path, lines: list[bytes], shell: str = "sh") -> list[bytes]:
    """What of these lines the very script writes."""
    script = made()[SCRIPT].content.replace(b'\nmain "$@"\n', b'\nwork=$1; keys_of root "$1/in" "$1/out"\n')
    (folder / "script").write_bytes(script)
    (folder / "in").write_bytes(b"".join(line + b"\n" for line in lines))
    done = subprocess.run([shell, folder / "script", folder], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    return (folder / "out").read_bytes().split(b"\n")[:-1]


def keys_by_ssh_keygen(folder: Path, lines: list[bytes]) -> list[str]:
    """The fingerprints that OpenSSH reads in a file of these lines."""
    (folder / "keys").write_bytes(b"".join(line + b"\n" for line in lines))
    said = subprocess.run(["ssh-keygen", "-lf", folder / "keys"], capture_output=True, check=False).stdout
    return re.findall(r"^\d+ (SHA256:\S+) ", said.decode(errors="replace"), re.MULTILINE)


@slow
@given(LINES)
def test_the_script_writes_the_lines_that_the_panel_would_send_and_no_others(tmp_path_factory, lines) -> None:
    found = taken_by_the_script(tmp_path_factory.mktemp("lines"), lines)
    assert found == [line for line in lines if is_key(line)]


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_another_sh_reads_the_same(tmp_path) -> None:
    lines = [KEY, KEY + b"\t", b'command="\\"\\\\" ,\t" ' + KEY, b"no-pty " + KEY + b" \xff"]
    assert taken_by_the_script(tmp_path, lines, "bash") == [KEY, lines[3]]


@slow
@given(LINES)
def test_hosts_with_the_older_script_take_every_line_that_is_sent(lines) -> None:
    sent = [line for line in lines if is_key(line)]
    said = subprocess.run(
        ["grep", "-Evxc", "--", OLD_KEY],
        input=b"".join(line + b"\n" for line in sent),
        capture_output=True,
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert said.stdout == b"0\n"


@slow
@given(LINES)
def test_openssh_reads_a_line_that_is_sent_as_one_key_at_most(tmp_path_factory, lines) -> None:
    folder = tmp_path_factory.mktemp("lines")
    sent = [line for line in lines if is_key(line)]
    read = keys_by_ssh_keygen(folder, sent)
    assert len(read) <= len(sent)
    assert set(read) <= {found for line in sent for found in all_blobs(line)}


def all_blobs(line: bytes) -> set[str]:
    """Fingerprints of what could be a key in this line: the first that follows a type outside quotes."""
    outside = re.sub(rb'"(?:[^"\\]|\\+[^\\])*"', b"", line, count=0 if b'="' in line else 1)
    found = re.search(
        rb"(?:^| )(?:" + b"|".join(map(re.escape, map(str.encode, TYPES))) + rb") (AAAA\S+)", outside
    )
    if not found:
        return set()
    raw = base64.b64decode(re.match(rb"[A-Za-z0-9+/]*", found[1])[0] + b"===")  # type: ignore[index]
    return {"SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")}


TEXTS = st.lists(
    st.sampled_from(
        [KEY.decode(), " ", "\t", "\n", ",", "restrict", 'command="', 'from="', "192.0.2.1", '"', '\\"', "\\",
         "COMMAND=", "é", "\x85", "\x07", "comment", "$(id)"]
    )
    | st.text(max_size=6),
    max_size=10,
).map("".join)  # fmt: skip
COMMANDS = st.text(max_size=30).map(lambda inside: f'restrict,command="{inside}" {KEY.decode()} c')


@slow
@given(st.lists(st.one_of(TEXTS, COMMANDS), min_size=1, max_size=40))
def test_whatever_somebody_can_paste_is_written_and_read_by_openssh_as_that_key(
    tmp_path_factory, texts
) -> None:
    keys = []
    for text in texts:
        try:
            keys += parse_keys(text)
        except BadKey:
            continue
    folder = tmp_path_factory.mktemp("lines")
    lines = [key.line.encode() for key in keys]
    assert taken_by_the_script(folder, lines) == lines
    assert keys_by_ssh_keygen(folder, lines) == [key.fingerprint for key in keys]


@pytest.mark.parametrize("control", ["\t", "\x1b", "\x7f", "\x00"])
def test_a_control_character_in_an_option_is_refused_when_it_is_pasted(control) -> None:
    with pytest.raises(BadKey, match="control character"):
        parse_keys(f'command="echo{control}hi" {KEY.decode()} tab')


def test_a_line_is_as_long_in_bytes_as_servers_take_it() -> None:
    with pytest.raises(BadKey, match="too long"):
        parse_keys(f'command="{"é" * (MOST_BYTES // 2)}" {KEY.decode()}')
    assert not is_key(KEY + b" " + b"c" * MOST_BYTES)


def test_every_type_that_is_taken_is_one_that_hosts_take() -> None:
    assert set(TYPES) == set(BITS)


def test_unix_users_are_named_as_hosts_take_them() -> None:
    assert all(map(is_user, ["root", "www-data", "_apt", "a.b", "nas$"]))
    assert not any(map(is_user, ["", "-rf", "Root", "../x", "a b", "a,b", "root\n", "é"]))
