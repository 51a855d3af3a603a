"""Connection strings: what a person types after `ssh`, and nothing else."""

import ipaddress

import pytest
from hypothesis import given
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
    ],
)
def test_anything_else_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadConnection, match=r"\.$"):
        parse_connection(text)


users = st.from_regex(r"\A[a-z_][a-z0-9_.-]{0,30}\Z")
names = st.from_regex(r"\A[a-z][a-z0-9]{0,9}(\.[a-z][a-z0-9-]{0,9}[a-z]){0,3}\Z")
addresses = st.ip_addresses().map(str)


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


@given(st.ip_addresses(v=6))
def test_an_ipv6_address_reads_with_and_without_brackets(address: ipaddress.IPv6Address) -> None:
    assert parse_connection(f"root@{address}") == parse_connection(f"[{address.exploded}]")
