"""Connection strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.address import Address, BadConnection, parse_connection


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("root@192.0.2.1", Address("192.0.2.1")),
        ("  root@host.example.org  ", Address("host.example.org")),
        ("host", Address("host")),
        ("-p 222 root@192.0.2.1", Address("192.0.2.1", port=222)),
        ("-p222 admin@h", Address("h", "admin", 222)),
        ("root@2001:db8::1", Address("2001:db8::1")),
        ("-p 222 root@[2001:db8::1]", Address("2001:db8::1", port=222)),
        ("root@2001:0db8:0::0001", Address("2001:db8::1")),
        ("www-data@h", Address("h", "www-data")),
    ],
)
def test_a_connection_string_is_read(text: str, address: Address) -> None:
    assert parse_connection(text) == address
    assert parse_connection(address.text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root@",
        "@h",
        "a@b@c",
        "-p root@h",
        "-p 0 root@h",
        "-p 65536 root@h",
        "-p 99999999999999999999 root@h",
        "root@-h",
        "root@h;reboot",
        "root@h reboot",
        "root@h\nHost evil",
        "-oProxyCommand=reboot root@h",
        "-oProxyCommand=reboot@h",
        "root@256.1.1.1",
        "root@1.2.3",
        "root@[h]",
        "root@[192.0.2.1",
        "root@::g",
        "root@h:22",
        "root@h_\0",
        "r;oot@h",
        "root@" + "a" * 64,
        "root@" + "a." * 130,
        "root@ho\u0455t",
        "-p \u0662\u0662 root@h",
    ],
)
def test_what_is_no_connection_string_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadConnection) as caught:
        parse_connection(text)
    assert str(caught.value).endswith(".")


@given(st.text(max_size=60))
def test_whatever_is_typed_is_refused_or_can_be_written_back(text: str) -> None:
    try:
        address = parse_connection(text)
    except BadConnection:
        return
    assert parse_connection(address.text) == address
    assert not address.host.startswith("-")
    assert not address.user.startswith("-")
    assert " " not in address.host + address.user


@given(st.ip_addresses(v=6), st.integers(1, 65535))
def test_every_ipv6_address_can_be_written_and_read(address: object, port: int) -> None:
    whole = Address(str(address), port=port)
    assert parse_connection(whole.text) == whole
    assert parse_connection(f"-p {port} root@[{address}]") == whole
