"""Every parser of text from outside: only its own refusal, a bounded answer, whatever comes.

Each is fed with pieces of its own language, put together at random, and with plain noise. That none hangs is
seen by pytest's time-out.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.exceptions import BadRequest, ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.devices import device_words
from accounts.password_links import person_of
from backups.ending import _copy, _time
from backups.folders import excluded, validate_excludes, validate_source
from backups.inside_copies import NoPath, file_name, path_of, token_of
from backups.inside_copies import shown as shown_path
from backups.reading_copies import _entry
from backups.restoring import changes_of
from backups.runner import read_look, read_progress
from forwarding.forms.ports import PortsField
from forwarding.pairs import BadPair, read_chain
from forwarding.reading import Outside, _foreign, _listening
from forwarding.validators import normal_domain, validate_domain, validate_pem_path
from githooks.signatures import Refused, sender_of
from hosts import wire
from hosts.address import BadConnection, parse_connection
from hosts.changes import read_manifest, read_seen
from jobs.masking import LineMaker, Masker
from keymanager import found
from keymanager.bad_key import BadKey
from keymanager.openssh import parse_key, parse_keys
from pages.csv_answers import cell_text
from pages.hidden import hidden_in, shown
from pages.limits import json_object, search_words
from pages.names import both_spellings, in_letters
from proxmox import reading
from proxmox.client.answers import GuestNow, NodeStatus, Storage, TaskNow, Version, Volume
from proxmox.forms.addresses import RangesField
from servers.validators import normal_name, validate_connection, validate_server_name
from tests.fuzz.examples import tried

NUMBERS = ["0", "-1", "1", "65536", "9" * 20, "9" * 5000, "1e999", "NaN", "٣", "²", "0x1f", "1.5"]
SIGNS = [
    *" \t\n\r\0\x0b\x1b\"'\\=:;,.@/-[]{}()<>#%$*?!|&`~^+_",
    "\u202e",
    "\u200b",
    "\ufeff",
    "é",
    "日",
    "\U0001f600",
]


def text_of(*words: str) -> st.SearchStrategy[str]:
    """A text of these words, numbers and signs in any order, or of anything."""
    pieces = st.sampled_from([*words, *NUMBERS, *SIGNS])
    return st.lists(pieces, max_size=30).map("".join) | st.text(max_size=200)


def bytes_of(*words: str) -> st.SearchStrategy[bytes]:
    """The same as bytes, some of which are no text."""
    return text_of(*words).map(lambda text: text.encode(errors="surrogatepass")) | st.binary(max_size=300)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([*NUMBERS, 10**400, float("inf"), "\ud800"])
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)


def table_of(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """A JSON object with some of these names."""
    return st.dictionaries(st.sampled_from(names) | st.text(max_size=9), JSON_VALUES, max_size=8)


def _all(parse: Any) -> Any:
    return lambda given: list(parse(given))


def _seen(data: bytes) -> Any:
    found = read_seen(wire.Reader(data))
    return found.size, found.sha256, found.mode


def _script_answer(data: bytes) -> Any:
    reader = wire.Reader(data)
    return [reader.number(), reader.text(), reader.path(), reader.take(reader.number()), reader.line()]


def _log(text: str) -> list[str]:
    maker = LineMaker(Masker(["secret", "geheim\nzwei"]))
    return [line for piece in (text, text[::-1]) for line in maker.feed(piece)] + maker.finish()


def _excludes(text: str) -> list[str]:
    validate_excludes(text)
    return list(excluded(text))


def _node(answer: dict[str, Any]) -> Any:
    return reading.node(NodeStatus.of(answer))


def _look(data: bytes) -> Any:
    look = read_look(data)
    return (
        [look.number(name) for name in look.facts],
        _time(look, "ended"),
        list(map(_copy, look.lists.get("copy", ()))),
    )


def _validated(normal: Any, *checks: Any) -> Any:
    def call(text: str) -> str:
        value = normal(text)
        for check in checks:
            check(value)
        return value

    return call


@dataclass(frozen=True)
class Parser:
    """What is called with what, what it may raise, and how much longer its answer may be than what came in."""

    name: str
    call: Any
    given: st.SearchStrategy[Any]
    refuses: tuple[type[Exception], ...] = ()
    grows: int = field(default=20)


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIGY5ZjlmOWY5ZjlmOWY5ZjlmOWY5ZjlmOWY5ZjlmOWY5"
KEYS = text_of(
    "ssh-ed25519 ", "ssh-rsa ", "sk-", KEY, 'command="', 'from="', "no-pty,", "restrict", "ada@x", "BEGIN "
)
FOUND_LINES = bytes_of(
    "root: ",
    "-anna: ",
    "no key",
    ";",
    "options ",
    "ssh-ed25519 ",
    f"SHA256:{'a' * 43}",
    " x",
    "\n",
    found.DIFFERS,
)
ADDRESSES = text_of("root", "@", "-p ", "host", "fe80::1", "%eth0", "[::1]")
SOCKETS = text_of(
    "tcp ", "udp ", "LISTEN 0 128 ", "0.0.0.0:", "[::]:", "*:", "%lo", 'users:(("', '"sshd",pid=1'
)
RULES = text_of(
    *(
        "-A PREROUTING ",
        "-A GESTION-",
        "-p tcp ",
        "--dport ",
        "--dports ",
        "-j DNAT ",
        "-j REDIRECT",
        "80:90",
    ),
    *("! ", "-i ", "vmbr+ ", "-s ", "-d ", "192.0.2.0/24 ", "-m "),
)
OUTSIDE = Outside("vmbr0", "192.0.2.1", "10.0.0.1")
LOOKS = bytes_of(
    "known=yes\n", "alive=yes\n", "ended=", "copy=hourly.0 ", "progress=", "\noutput:\n", "bytes=", "rotated="
)
PROGRESS = text_of("1,234 ", "99% ", "1.2MB/s ", "0:00:01 ", "(xfr#1, to-chk=", "ir-chk=", "1/2)")
SEEN = bytes_of("f 644 root root ", "l 1\n", "a\n", "d\n", "o\n", "f ", " 12 ", "e3b0c442")
ANSWERS = bytes_of("0\n", "1\n", "r", "gestion ", "12\n", "\n")
PEM = text_of(
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "MIIB",
    KEY,
)
NAMES = text_of("xn--", "bcher-kva", "example", ".org", "*.", "-", "a" * 64, "ß", "ı", "xn--a", "xn--0")
FOLDERS = text_of("/", "..", "srv", "/backups", "//", "*", "lost+found", "\\")
PORTS = text_of("80", "8000-8010", " - ", "–", "22")
LOGS = text_of(
    "\x1b[31m",
    "\x1b]0;x\x07",
    "secret",
    "geheim",
    "password=",
    "-----BEGIN RSA PRIVATE KEY-----",
    "\r",
    "Bearer ",
)
STATUS = table_of("uptime", "cpu", "cpuinfo", "memory", "swap", "rootfs", "pveversion")
CONFIG = table_of("net0", "ipconfig0", "digest", "lxc", "hostname", "description")
GUEST = table_of(
    "vmid", "name", "status", "uptime", "cpu", "cpus", "mem", "maxmem", "tags", "lock", "template", "type"
)
STORAGE = table_of("storage", "type", "content", "enabled", "active", "used", "total", "volid", "size")
TASK = table_of("upid", "status", "exitstatus", "endtime", "starttime", "type", "id", "user", "node")
BODIES = bytes_of(
    "{", "}", "[", "]", '"a"', ":", ",", "true", "null", "\\ud800", "\\u0000", "NaN", '{"a":', "//"
)
CHANGES = bytes_of(">f+++++++++ ", "*deleting   ", "cd+++++++++ ", "\\#012", "\\#377", "a/b", "\n")

PARSERS = [
    Parser("connection", parse_connection, ADDRESSES, (BadConnection,)),
    Parser("typed connection", validate_connection, ADDRESSES, (ValidationError,)),
    Parser("key", parse_key, KEYS, (BadKey,)),
    Parser("keys", parse_keys, KEYS, (BadKey,)),
    Parser("found by a look", found.read_look, FOUND_LINES.map(lambda data: data.decode("latin-1")), grows=60),
    Parser("found by a fetch", found.read_header, FOUND_LINES, grows=60),
    Parser("ss", _all(lambda text: _listening(text, "10.0.0.1")), SOCKETS),
    Parser("iptables-save", _all(lambda text: _foreign(text, OUTSIDE)), RULES),
    Parser("look", _look, LOOKS, grows=40),
    Parser("progress", read_progress, PROGRESS),
    Parser("changes", changes_of, CHANGES),
    Parser("entry", lambda data: _entry(data, b""), bytes_of("d/0755/0/0/4096/", "1.5/", "name/", "/"), (ValueError,)),
    Parser("copy token", path_of, text_of("ZXRj", "Li4", "_-", "="), (NoPath,)),
    Parser("shown path", shown_path, bytes_of("/", "a"), grows=40),
    Parser("file name", file_name, bytes_of("/", "a")),
    Parser("seen", _seen, SEEN, (wire.Garbled,)),
    Parser("manifest", read_manifest, ANSWERS, (wire.Garbled,)),
    Parser("script's answer", _script_answer, ANSWERS, (wire.Garbled,)),
    Parser("chain", read_chain, PEM, (BadPair,)),
    Parser("domain", _validated(normal_domain, validate_domain), NAMES, (ValidationError,)),
    Parser("server name", _validated(normal_name, validate_server_name), NAMES, (ValidationError,)),
    Parser("pem path", validate_pem_path, FOLDERS, (ValidationError,)),
    Parser("letters", in_letters, NAMES),
    Parser("both spellings", both_spellings, NAMES),
    Parser("source folder", validate_source, FOLDERS, (ValidationError,)),
    Parser("excludes", _excludes, FOLDERS, (ValidationError,)),
    Parser("ports", PortsField().clean, PORTS, (ValidationError,)),
    Parser("ranges", RangesField().clean, text_of("10.0.0.1", " - ", "10.0.0.9", "fe80::", "/24"), (ValidationError,)),
    Parser("log", _log, LOGS, grows=60),
    Parser("node", _node, STATUS, grows=400),
    Parser("guest", lambda answer: reading.guest(GuestNow.of("lxc", {"vmid": 1, **answer})), GUEST, grows=400),
    Parser("storage", lambda answer: reading.storages([Storage.of(answer)]), STORAGE, grows=60),
    Parser("volume", Volume.of, STORAGE, grows=60),
    Parser("task", lambda answer: (TaskNow.of_list(answer), TaskNow.of_status(answer)), TASK, grows=60),
    Parser("guest's config", reading.config, CONFIG, grows=60),
    Parser("addresses", lambda table: (reading.addresses(table), reading.mac(table)), CONFIG),
    Parser("version", lambda text: Version(text).major, text_of("8", ".", "-")),
    Parser("device", device_words, text_of("Firefox/", "Linux", "Edg", "iPhone"), grows=40),
    Parser("json", json_object, BODIES, (BadRequest,), grows=40),
    Parser("search", search_words, text_of("a ", "b", "web1")),
    Parser("cell", cell_text, text_of("=", "+", "＝", "1"), grows=40),
    Parser("shown", shown, text_of("a"), grows=60),
]  # fmt: skip


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_a_parser_answers_or_refuses_in_its_own_words(parser):
    @tried(60)
    @given(parser.given)
    def try_it(given):
        try:
            found = parser.call(given)
        except parser.refuses:
            return
        assert len(repr(found)) <= 2000 + parser.grows * len(repr(given))

    try_it()


LONG = "9" * 5000  # more digits than Python makes an int of
FOUND = {
    "connection": f"-p {LONG} root@host",
    "ss": f"tcp LISTEN 0 128 0.0.0.0:{LONG} *:*",
    "iptables-save": f"-A PREROUTING -p tcp --dport {LONG} -j DNAT",
    "progress": f"{LONG} {LONG}% 1B/s {LONG}",
    "seen": f"f 644 root root {LONG} e3b0\n".encode(),
    "manifest": f"run\n{LONG}\n".encode(),
    "script's answer": f"{LONG}\n".encode(),
    "version": LONG,
    "look": f"ended={'9' * 18}\ncopy=hourly.0 x\ncopy=hourly.1 {LONG}".encode(),
    "node": {"cpu": float("inf"), "uptime": 10**400, "memory": [1], "cpuinfo": 1},
}


@pytest.mark.parametrize(
    "parser", [each for each in PARSERS if each.name in FOUND], ids=lambda each: each.name
)
def test_a_number_without_end_ends_no_work(parser):
    with suppress(*parser.refuses):
        parser.call(FOUND[parser.name])


HEADERS = ["X-Gestion-Signature", "X-Forgejo-Signature", "X-Gitea-Signature", "X-Hub-Signature-256", "X-Gitlab-Token",
           "X-Gestion-Timestamp"]  # fmt: skip


@tried(100)
@given(
    headers=st.dictionaries(st.sampled_from(HEADERS), text_of("sha256=", "0" * 64), max_size=4),
    body=st.binary(max_size=100),
    secret=st.sampled_from(["", "s" * 32]),
)
def test_no_call_without_a_signature_is_believed(headers, body, secret):
    with pytest.raises(Refused):
        sender_of(headers, body, secret)


@tried(100)
@given(name=text_of("MQ", "Mg", "=="), token=text_of("abc123", "-", "zzzz"))
@pytest.mark.django_db
def test_no_password_link_breaks(name, token):
    assert person_of(name, token) is None


@tried(100)
@given(st.binary(max_size=100))
def test_a_path_in_a_copy_comes_back_from_its_token_or_is_refused(path):
    try:
        assert path_of(token_of(path)) == path
    except NoPath:
        assert not path.strip(b"/") or b"\0" in path or {b"", b".", b".."} & set(path.split(b"/"))


@tried(100)
@given(LOGS)
def test_nothing_hidden_and_no_secret_gets_into_a_log(text):
    for line in _log(text):
        assert not hidden_in(line, lines=True)
        assert "secret" not in line
