"""Whatever a person types: what gets through cannot be read as anything else."""

import unicodedata

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from hosts.address import parse_connection
from servers.validators import (
    host_name_of,
    machine_name_of,
    normal_connection,
    normal_folder,
    normal_name,
    validate_connection,
    validate_folder,
    validate_host_name,
    validate_interface,
    validate_ip,
    validate_keymanager_name,
    validate_node_name,
    validate_server_name,
    validate_text,
    validate_unix_name,
)

# Characters that mean something to a shell, a path, a URL, nginx, rsnapshot … or to nobody.
NASTY = "\0\n\r\t\x0b\x1b\x7f\x85\u2028\u202e -'\"`$\\;|&<>(){}[]*?!#%@:,/.~^=+ſKİıß\ud800"
typed = st.one_of(
    st.text(max_size=40),
    st.text(alphabet=st.sampled_from(list("abcxyz019._-" + NASTY)), max_size=40),
)


def accepts(validate, text: str) -> bool:
    try:
        validate(text)
    except ValidationError:
        return False
    return True


@given(typed)
@pytest.mark.parametrize(
    ("validate", "allowed"),
    [
        (validate_server_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
        (validate_host_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"),
        (validate_node_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"),
        (validate_keymanager_name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
        (validate_interface, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"),
        (validate_unix_name, "abcdefghijklmnopqrstuvwxyz0123456789_.-$"),
    ],
)
def test_names_are_plain_ascii_and_never_look_like_an_option_or_a_folder(validate, allowed, text):
    if accepts(validate, text):
        assert text
        assert set(text) <= set(allowed)
        assert not text.startswith(("-", "."))
        assert "/" not in text
        assert text not in {".", ".."}


@given(typed)
def test_a_folder_is_absolute_and_stays_inside_itself(text):
    if accepts(validate_folder, text):
        assert text.startswith("/")
        assert ".." not in text.split("/")
        assert not any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in text)
        shortest = normal_folder(text)
        assert normal_folder(shortest) == shortest
        assert accepts(validate_folder, shortest)
        assert "//" not in shortest
        assert shortest != "/"
        assert not shortest.endswith("/")


@given(typed)
def test_notes_keep_lines_and_lose_other_control_characters(text):
    if accepts(validate_text, text):
        assert not any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\r\t" for char in text)


@given(typed)
def test_a_connection_never_begins_with_an_option_of_its_own(text):
    if accepts(validate_connection, text):
        assert not any(unicodedata.category(char) == "Cc" for char in text)
        words = text.split()
        host = words[-1].rpartition("@")[2]
        assert not host.startswith("-")
        assert words[-1][0] != "-"


@given(typed)
def test_normalising_a_name_twice_is_normalising_it_once(text):
    once = normal_name(text)
    if accepts(validate_server_name, once):
        assert normal_name(once) == once
        assert once == once.lower()


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("Web1.Example.ORG", "web1.example.org"),
        ("web1.example.org.", "web1.example.org"),
        (" web1.example.org ", "web1.example.org"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("MÜNCHEN.example", "xn--mnchen-3ya.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("Web_1.demo.example", "web_1.demo.example"),
        ("DC_01", "dc_01"),
        ("a__b-_c.example", "a__b-_c.example"),
        ("web_1.münchen.example", "web_1.xn--mnchen-3ya.example"),
    ],
)
def test_names_have_one_form(text, stored):
    assert normal_name(text) == stored
    validate_server_name(normal_name(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-a",
        "a-",
        "a..b",
        "a b",
        "_a",
        "a_",
        "a._b",
        "a_.b",
        "büro_1.example",
        "10.0.0.1",
        "a.1",
        "a\n",
        "a\0b",
        "é",
        "a" * 64,
        "a." * 127 + "abc",
    ],
)
def test_what_is_no_domain_name_is_refused(text):
    assert not accepts(validate_server_name, text)


@given(typed)
def test_what_a_machine_calls_itself_is_a_host_name_whatever_its_server_is_called(text):
    if accepts(validate_server_name, text):
        assert accepts(validate_host_name, host_name_of(text))


def test_a_machine_calls_itself_no_longer_than_linux_takes_it():
    long = "web_1.a-department-with-a-long-name.a-company-with-a-longer-one.example.org"
    assert machine_name_of(long) == "web-1"
    assert machine_name_of("a" * 52 + ".example.org") == "a" * 52 + ".example.org"
    assert machine_name_of("a" * 53 + ".example.org") == "a" * 53


@pytest.mark.parametrize(
    ("text", "name"), [("Web1.Example.", "web1.example"), ("web1..", "web1.."), (".", "")]
)
def test_one_dot_at_the_end_is_left_out_and_several_are_no_name(text, name):
    assert normal_name(text) == name
    assert normal_name(name) == name


@pytest.mark.parametrize("text", ["web_1.demo.example", "dc_01"])
def test_a_host_name_has_no_underscore_and_what_to_write_instead_is_said(text):
    with pytest.raises(ValidationError, match=text.replace("_", "-")):
        validate_host_name(text)


@pytest.mark.parametrize(
    ("typed_text", "stored"),
    [
        ("-p 222 root@[2001:db8::1]", "-p 222 root@[2001:db8::1]"),
        ("root@2001:DB8:0:0::1", "root@2001:DB8:0:0::1"),
        ("-p 22 root@h", "-p 22 root@h"),
        ("-p222 root@h", "-p222 root@h"),
        ("-p 0222 Admin@Web1.Example.org.", "-p 0222 Admin@Web1.Example.org."),
        ("  root@h  ", "root@h"),
        ("-p   222  root@h", "-p 222 root@h"),
        ("web1.example.org", "root@web1.example.org"),
        ("-p 222 [2001:db8::1]", "-p 222 root@[2001:db8::1]"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_a_connection_is_kept_as_it_was_typed_and_means_the_same(typed_text, stored):
    assert normal_connection(typed_text) == stored
    assert normal_connection(stored) == stored
    if stored:
        assert parse_connection(stored) == parse_connection(typed_text)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed_text", "right"),
    [
        ("ssh://web1", "root@web1"),
        ("ssh://web1:222", "-p 222 root@web1"),
        ("sftp://web1/srv", "root@web1"),
        ("ssh://[2001:db8::1]", "root@[2001:db8::1]"),
        ("web1 -p 222", "-p 222 root@web1"),
        ("web1:222", "-p 222 root@web1"),
        ("https://web1", ""),
        ("web1 222", "root@host"),
    ],
)
def test_the_form_says_what_to_write_of_what_was_typed_without_a_user(admin_client, typed_text, right):
    sent = {"name": "web1.example.org", "ssh_connection": typed_text}
    answer = admin_client.post(
        "/servers/new/", sent, "application/json", headers={"Accept": "application/json"}
    )
    (said,) = answer.json()["errors"]["ssh_connection"]
    assert (f'rite it as "{right}"' in said or f'write "{right}"' in said) if right else '"' not in said


@given(typed)
def test_a_connection_that_is_taken_means_the_same_as_it_is_stored(text):
    if accepts(validate_connection, text):
        assert parse_connection(normal_connection(text)) == parse_connection(text)


@pytest.mark.parametrize("text", ["root", "www-data", "_apt", "a", "machine$", "first.last", "u" * 32])
def test_unix_users_that_systems_have_are_accepted(text):
    assert accepts(validate_unix_name, text)


@pytest.mark.parametrize(
    "text",
    ["", "-root", "Root", "0day", "a b", "a/b", "..", ".a", "a:b", "root\n", "ro\0ot", "u" * 33, "$a", "ä"],
)
def test_unix_users_that_would_mean_something_else_are_refused(text):
    assert not accepts(validate_unix_name, text)


@pytest.mark.parametrize(
    "text",
    [
        "root@h",
        "-p 222 root@host.example.org",
        "root@2001:db8::1",
        "-p 222 root@[2001:db8::1]",
        "root@192.0.2.7",
    ],
)
def test_the_seeds_connection_strings_are_accepted(text):
    assert accepts(validate_connection, text)


@pytest.mark.parametrize(
    "text",
    [
        "-p 0 root@h",
        "-p 70000 root@h",
        "-oProxyCommand=x root@h",
        "root@-h",
        "root@h;reboot",
        "root@h\n",
        "a b c",
    ],
)
def test_connection_strings_that_carry_something_else_are_refused(text):
    assert not accepts(validate_connection, text)


@pytest.mark.parametrize("text", ["10.0.0.5", "192.0.2.7", "2001:db8::1", "fd00::5", "169.254.1.1"])
def test_addresses_of_machines_are_accepted(text):
    assert accepts(validate_ip, text)


@pytest.mark.parametrize("text", ["127.0.0.1", "::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "fe80::1"])
def test_addresses_with_another_purpose_are_refused(text):
    assert not accepts(validate_ip, text)


@pytest.mark.parametrize("name", ["127", "a.1", "0x7f000001", "a.0X1f", "127.0.0.0x1", "0x"])
def test_a_name_that_is_read_as_an_address_is_none(name):
    assert not accepts(validate_server_name, normal_name(name))


@pytest.mark.parametrize("name", ["0x7g", "a.x1", "1a", "0.example"])
def test_a_name_that_only_begins_like_a_number_is_one(name):
    assert accepts(validate_server_name, name)
