"""Pasted keys are read as OpenSSH reads them, and whatever is taken is exactly one line."""

import base64
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keymanager.bad_key import BadKey
from keymanager.key_options import canonical_options
from keymanager.models import Key
from keymanager.openssh import BITS, MAX_COMMENT, parse_key, parse_keys
from tests.keymanager.fleets import ed25519_blob

BLOB = ed25519_blob(b"somebody")
KEY = f"ssh-ed25519 {BLOB}"
needs_ssh_keygen = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed"
)


def wire(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def as_line(*parts: bytes, name: str = "") -> str:
    return f"{name or parts[0].decode()} {base64.b64encode(wire(*parts)).decode()}"


def ssh_keygen(path: Path) -> tuple[int, str]:
    said = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True).stdout
    bits, fingerprint, _rest = said.split(" ", 2)
    return int(bits), fingerprint


KINDS = [("ed25519", 256), ("ecdsa", 256), ("ecdsa", 384), ("ecdsa", 521), ("rsa", 2048), ("rsa", 3072)]


@needs_ssh_keygen
@pytest.mark.parametrize(("kind", "bits"), KINDS)
def test_fingerprint_and_size_are_what_ssh_keygen_says(tmp_path, kind, bits):
    path = tmp_path / "key"
    argv = ["ssh-keygen", "-q", "-t", kind, "-b", str(bits), "-N", "", "-C", "a comment", "-f", str(path)]
    subprocess.run(argv, check=True)
    key = parse_key((tmp_path / "key.pub").read_text().strip())
    assert (key.bits, key.fingerprint) == ssh_keygen(tmp_path / "key.pub")
    assert key.comment == "a comment"
    assert Key(type=key.type, bits=key.bits).weak == (kind == "rsa" and bits == 2048)


@needs_ssh_keygen
@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.booleans())
def test_fingerprints_of_any_ed25519_and_security_key_are_what_ssh_keygen_says(tmp_path_factory, raw, sk):
    line = as_line(b"sk-ssh-ed25519@openssh.com", raw, b"ssh:") if sk else as_line(b"ssh-ed25519", raw)
    path = tmp_path_factory.mktemp("keys") / "key.pub"
    path.write_text(f"{line} c\n")
    key = parse_key(line)
    assert (key.bits, key.fingerprint) == ssh_keygen(path)


def test_options_type_key_and_comment_are_told_apart():
    key = parse_key(f'  from="192.0.2.0/24,*.example.org",no-x11-forwarding\t{KEY}  mel at home ')
    assert key.options == 'from="192.0.2.0/24,*.example.org",no-X11-forwarding'
    assert (key.type, key.blob, key.comment) == ("ssh-ed25519", BLOB, "mel at home")


def test_many_keys_are_read_at_once_without_comment_lines_and_empty_lines():
    other = f"ssh-ed25519 {ed25519_blob(b'other')} other"
    keys = parse_keys(f"# mine\r\n\r\n{KEY} one\r\n\n  {other}\n")
    assert [key.comment for key in keys] == ["one", "other"]


REFUSED = {
    "private": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl\n-----END OPENSSH PRIVATE KEY-----",
    "putty": "PuTTY-User-Key-File-3: ssh-ed25519",
    "rfc 4716, cut": "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n",
    "rfc 4716, damaged": "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----",
    "rfc 4716, no base64": "---- BEGIN SSH2 PUBLIC KEY ----\nÄ\n---- END SSH2 PUBLIC KEY ----",
    "pem, damaged": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
    "pem, cut": "-----BEGIN PUBLIC KEY-----\nAAAA",
    "empty": "\n# nothing\n",
    "dss": "ssh-dss AAAAB3NzaC1kc3M=",
    "certificate": "ssh-ed25519-cert-v01@openssh.com AAAA",
    "unknown type": f"ssh-ed25520 {BLOB}",
    "no type": BLOB,
    "no blob": "ssh-ed25519",
    "not base64": "ssh-ed25519 AAAA!",
    "non-ascii base64": "ssh-ed25519 AÄAA",
    "cut": f"ssh-ed25519 {BLOB[:40]}",
    "other type inside": f"ecdsa-sha2-nistp256 {BLOB}",
    "data behind": as_line(b"ssh-ed25519", b"x" * 32, b"more"),
    "short ed25519": as_line(b"ssh-ed25519", b"x" * 31),
    "sk with data behind": as_line(b"sk-ssh-ed25519@openssh.com", b"x" * 32, b"ssh:", b"more"),
    "compressed point": as_line(b"ecdsa-sha2-nistp256", b"nistp256", b"\x02" + b"\x01" * 32),
    "compressed point on a security key": as_line(
        b"sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\x02" + b"\x01" * 32, b"ssh:"
    ),
    "point at infinity": as_line(b"ecdsa-sha2-nistp256", b"nistp256", b"\x00"),
    "rsa of 1024 bits": as_line(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xc1" * 128),
    "rsa with a padded number": as_line(b"ssh-rsa", b"\x00\x01\x00\x01", b"\x00" + b"\xc1" * 256),
    "control character": f"{KEY} bell\x07",
    "nul": f"{KEY} nul\x00",
    "carriage return": f"{KEY} a\rb",
    "line separator": f"{KEY} a\u2028ssh-ed25519",
    "right to left": f"{KEY} a\u202eb",
    "long comment": f"{KEY} {'c' * (MAX_COMMENT + 1)}",
    "long line": f"{KEY} {'c' * 30_000}",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refused_with_a_sentence(text):
    with pytest.raises(BadKey) as caught:
        parse_keys(text)
    assert str(caught.value).endswith((".", "?", "(U+2028).")) or "(U+" in str(caught.value)


@needs_ssh_keygen
@pytest.mark.parametrize(("kind", "form"), [
    ("ed25519", "RFC4716"), ("ecdsa", "RFC4716"), ("rsa", "RFC4716"),
    ("rsa", "PKCS8"), ("rsa", "PEM"), ("ecdsa", "PKCS8"),
])  # fmt: skip
def test_a_key_as_another_program_saves_it_is_the_same_key(tmp_path, kind, form):
    path = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", 'ada "home"', "-f", path], check=True)
    argv = ["ssh-keygen", "-e", "-m", form, "-f", tmp_path / "key.pub"]
    saved = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    plain = parse_key((tmp_path / "key.pub").read_text().strip())
    for text in (
        saved,
        saved.replace("\n", "\r\n"),
        f"\ufeff{saved}",
        f"# mine\n\ufeff{saved}\n\ufeff{KEY} other\n",
    ):
        read = parse_keys(text)
        assert (read[0].type, read[0].blob, read[0].fingerprint) == (
            plain.type,
            plain.blob,
            plain.fingerprint,
        )
        assert len(read) == (2 if "other" in text else 1)


def test_puttys_headers_are_read_also_where_they_go_on_in_the_next_line():
    blob = KEY.split()[1]
    lines = (
        *(
            "---- BEGIN SSH2 PUBLIC KEY ----",
            "Subject: ada",
            'Comment: "ed25519-key-\\',
            '20261130"',
            "x-y: z",
        ),
        *(blob[:60], blob[60:], "---- END SSH2 PUBLIC KEY ----", ""),
    )
    text = "\n".join(lines)
    (read,) = parse_keys(text)
    assert (read.line, read.comment) == (f"{KEY} ed25519-key-20261130", "ed25519-key-20261130")


def test_an_rsa_key_that_openssh_does_not_read_is_refused():
    for bits, good in ((16384, True), (16392, False), (32768, False)):
        line = as_line(b"ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xc1" * (bits // 8))
        if good:
            assert parse_key(line).bits == bits
            continue
        with pytest.raises(BadKey, match="16384"):
            parse_key(line)


def test_a_refusal_among_several_says_the_line():
    with pytest.raises(BadKey, match=r"^Line 3: "):
        parse_keys(f"{KEY} good\n\nssh-dss AAAA\n")


BAD_OPTIONS = [
    "cert-authority", 'principals="root"', 'tunnel="0"', 'environment="LD_PRELOAD=/x"', "no-touch-required",
    "no-such", "pty", "pty,restrict", "restrict,restrict", "command", 'no-pty="x"', "from=192.0.2.1",
    'from="192.0.2.1', 'from="192.0.2.1/24"', 'from="*,!192.0.2.0/255.255.255.0"',
    'from="a b"', 'from=""', 'command=" "', 'expiry-time="soon"',
    'expiry-time="20261332"', 'permitopen="host"', 'permitlisten="a:b"', "no-pty,", ",no-pty", "no-pty;",
    'command="a",command="b"', 'command="a"b', 'permitlisten="99999"', 'permitopen="a:65536"', 'permitopen="a:0"',
    'permitlisten="host:70000"', 'expiry-time="19690101"', 'expiry-time="99991231"', 'expiry-time="00010101"',
]  # fmt: skip


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_options_that_widen_or_that_sshd_would_refuse_are_refused(options):
    with pytest.raises(BadKey):
        parse_key(f"{options} {KEY}")


GOOD_OPTIONS = [
    "restrict,pty,X11-forwarding", "no-pty,no-user-rc,no-agent-forwarding,no-port-forwarding,verify-required",
    'expiry-time="20270101Z"', 'expiry-time="202701012359"', 'permitopen="[2001:db8::1]:80"',
    'permitopen="a:1",permitopen="b:*"', 'permitlisten="8080"', r'command="echo \"hi\" # ssh-rsa AAAA"',
    'from="!192.0.2.1,2001:db8::/32"',
]  # fmt: skip


@pytest.mark.parametrize("options", GOOD_OPTIONS)
def test_options_that_only_restrict_are_kept_as_they_are(options):
    assert parse_key(f"{options} {KEY}").options == options


PARTS = st.sampled_from(
    [b"nistp256", b"nistp384", b"ssh:", b"", b"\0", b"\2" + b"\1" * 32, b"\4" + b"\1" * 64, b"\1\0\1", b"\xc1" * 256]
) | st.binary(max_size=70)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(BITS)), st.lists(PARTS, max_size=4))
def test_whatever_is_in_a_key_it_is_taken_or_refused_with_a_sentence(kind, parts):
    line = as_line(kind.encode(), *parts)
    try:
        (key,) = parse_keys(line)
    except BadKey:
        return
    assert key.type == kind


pieces = st.sampled_from(
    [KEY, BLOB, "ssh-ed25519", " ", "\t", "\n", "\r", "\\", '"', ",", "=", "command=", "restrict", "from=",
     '"192.0.2.1"', "#", "\x00", "\x0b", "\x85", "\u2028", "comment", "no-pty"]
) | st.text(max_size=8)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(pieces, max_size=12).map("".join))
def test_whatever_is_taken_is_one_line_that_reads_back_as_itself(text):
    try:
        keys = parse_keys(text)
    except BadKey:
        return
    for key in keys:
        assert key.line.splitlines() == [key.line]
        assert parse_key(key.line) == key
        assert key.type in BITS
        assert key.line.encode()


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), min_size=1, max_size=60))
def test_any_command_survives_its_quoting(command):
    quoted = command.replace('"', '\\"')
    line = f'command="{quoted}",no-pty {KEY} c'
    try:
        key = parse_key(line)
    except BadKey:
        assert not command.strip() or command.endswith("\\") or '\\"' in quoted or "PRIVATE KEY" in command
        return
    assert parse_key(key.line) == key
    assert key.options == f'command="{quoted}",no-pty'


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_options_are_canonical_once_rendered(text):
    try:
        options = canonical_options(text)
    except BadKey:
        return
    assert canonical_options(options) == options
