"""Connection strings: what a person types after `ssh`, and nothing else."""

import ipaddress
import re
import shutil
import subprocess

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hosts.address import Address, BadConnection, parse_connection


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("root@h", Address("h")),
        ("h", Address("h")),
        ("-p 222 root@h", Address("h", "root", 222)),
        ("-p222 h.example.org", Address("h.example.org", "root", 222)),
        ("  admin@192.0.2.7 ", Address("192.0.2.7", "admin")),
        ("root@2001:db8::1", Address("2001:db8::1")),
        ("-p 222 root@[2001:db8:0::1]", Address("2001:db8::1", "root", 222)),
        ("back_up-2@h_1", Address("h_1", "back_up-2")),
    ],
)
def test_what_a_person_would_type_after_ssh_is_read(text: str, address: Address) -> None:
    assert parse_connection(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root@",
        "@h",
        "root@h:22",
        "root@[2001:db8::1]:22",
        "root@fe80::1%eth0",
        "root@[fe80::1%eth0]",
        "root@2001:db8::1%eth0",
        "root@2001:db8::1%a;b$(x)",
        "root@fe80::1",
        "root@0x7f000001",
        "root@127.0x1",
        "root@127.1.",
        "-p " + "9" * 5000 + " h",
        "-p 0 h",
        "-p 65536 h",
        "-p x h",
        "-oProxyCommand=x h",
        "-h",
        "root@-h",
        "-root@h",
        "root@h; reboot",
        "root@$(x)",
        "root@h\n",
        "root@h\nroot@i",
        "a b@h",
        "root@1.2.3",
        "root@256.1.1.1",
        "root@[h]",
        "root@[2001:db8::1",
        "root@.h",
        "root@a..b",
        "root@" + "a" * 64,
        "root@ü",
        "ssh://root@h",
        "root@h/",
    ],
)
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadConnection, match=r"\.$"):
        parse_connection(text)


users = st.from_regex(r"\A[a-z_][a-z0-9_.-]{0,30}\Z")
names = st.from_regex(r"\A[a-z][a-z0-9]{0,9}(\.[a-z][a-z0-9-]{0,9}[a-z]){0,3}\Z")
several_machines = st.ip_addresses().filter(lambda one: one.version == 4 or not one.is_link_local)
addresses = several_machines.map(str)


@given(st.builds(Address, st.one_of(names, addresses), users, st.integers(1, 65535)))
def test_an_address_reads_back_from_its_own_text(address: Address) -> None:
    assert parse_connection(address.text) == address


@given(st.text(max_size=60))
def test_no_text_gives_anything_but_an_address_or_a_refusal(text: str) -> None:
    try:
        address = parse_connection(text)
    except BadConnection:
        return
    assert not address.host.startswith("-")
    assert not address.user.startswith("-")
    assert not set(address.text) & set("\n\r\t'\"$`;&|<>()*?\\")
    assert 1 <= address.port <= 65535


@given(st.ip_addresses(v=6).filter(lambda one: not one.is_link_local))
def test_an_ipv6_address_reads_with_and_without_brackets(address: ipaddress.IPv6Address) -> None:
    assert parse_connection(f"root@{address}") == parse_connection(f"[{address.exploded}]")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("root@h:222", "-p 222 root@h"),
        ("h.example.org:2201", "-p 2201 root@h.example.org"),
        ("root@[2001:db8::1]:222", "-p 222 root@[2001:db8::1]"),
        ("ssh://root@h:222", "-p 222 root@h"),
        ("ssh://h:222/", "-p 222 root@h"),
    ],
)
def test_a_port_behind_the_host_is_refused_with_what_to_write(text: str, told: str) -> None:
    with pytest.raises(BadConnection) as refused:
        parse_connection(text)
    assert f'"{told}"' in str(refused.value)
    assert parse_connection(told).port in {222, 2201}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("ssh://root@h:222", "-p 222 root@h"),
        ("ssh://h", "root@h"),
        ("sftp://bob@h/srv", "bob@h"),
        ("ssh -p 222 bob@h", "-p 222 bob@h"),
        ("h -p 222", "-p 222 root@h"),
        ("root@h:/srv", "root@h"),
        ("root@h:222/srv", "-p 222 root@h"),
        ("-p 222 root@h:222", "-p 222 root@h"),
        ("ssh://[2001:db8::1]:222", "-p 222 root@[2001:db8::1]"),
    ],
)
def test_other_ways_to_write_it_are_refused_with_the_right_one(text: str, right: str) -> None:
    with pytest.raises(BadConnection, match=re.escape(f'"{right}".')):
        parse_connection(text)
    assert parse_connection(right)


@given(
    st.from_regex(
        r"(ssh://|ssh )?(-p ?[0-9]{1,6} )?([a-z]{1,3}@)?[\[a-f0-9.:\]-]{1,9}(:[0-9]{1,6})?(/s)?",
        fullmatch=True,
    )
)
@example("root@[h]:222")
@example("ssh://root@[fe80::1]:22")
@example("h:99999")
def test_what_a_refusal_says_to_write_is_taken(text: str) -> None:
    try:
        parse_connection(text)
    except BadConnection as error:
        for told in re.findall('"([^"]*)"', str(error)):
            assert parse_connection(told)


typed = st.one_of(
    st.text(max_size=40),
    st.text("abz09._-:[]%@ p/0xX\t\u2028\u0661ü", max_size=40),
    st.builds(
        lambda user, host: f"{user}@{host}", st.text(max_size=6), st.one_of(names, st.ip_addresses().map(str))
    ),
    st.builds(Address, st.one_of(names, addresses), users, st.integers(1, 65535)).map(str),
)


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH is not installed")
@settings(max_examples=150, deadline=None)
@example("root@2001:db8::1%eth0")
@example("-p 222 root@[2001:db8::1]")
@example("a.b-@x_y.example.org.")
@given(typed)
def test_openssh_reads_what_is_taken_as_it_was_meant(text: str) -> None:
    try:
        address = parse_connection(text)
    except BadConnection:
        return
    said = told_by_ssh(*address.text.split(" "))
    assert (said["user"], said["port"]) == (address.user, str(address.port))
    assert one_spelling(said["hostname"]) == one_spelling(address.host)
    user, _at, rest = told_by_ssh("-J", address.jump, "other")["proxyjump"].partition("@")
    host, _colon, port = rest.rpartition(":")
    assert (user, one_spelling(host), port) == (address.user, one_spelling(address.host), str(address.port))


def one_spelling(host: str) -> str:
    """A host as it can be compared: OpenSSH writes some IPv6 addresses otherwise, and puts brackets around hosts."""
    host = host.removeprefix("[").removesuffix("]")
    try:
        return ipaddress.ip_address(host).exploded
    except ValueError:
        return host.lower()


def told_by_ssh(*argv: str) -> dict[str, str]:
    """What OpenSSH understands of its arguments; it connects to nobody."""
    done = subprocess.run(["ssh", "-F", "none", "-G", *argv], capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.split("\n"))
