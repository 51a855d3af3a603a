"""from= of a key: what sshd makes of it, and of what an older version kept. test_options_lab.py asks a real sshd."""

from importlib import import_module

import pytest
from django.apps import apps

from keymanager.answers import contents
from keymanager.bad_key import BadKey
from keymanager.key_from import check_from
from keymanager.key_options import is_sent, limits_of
from keymanager.models import Key
from tests.keymanager.fleets import ed25519_blob, make_key, make_server

KEY = f"ssh-ed25519 {ed25519_blob(b'somebody')}"


@pytest.mark.parametrize(
    "value",
    [
        "192.0.2.1",
        "192.0.2.0/24",
        "!192.0.2.1,*",
        "2001:db8::/32",
        "fe80::1%eth0",
        "192.0.2.?",
        "*.example.org",
        "*.4.5",
        "10.*.0.1",
        "2001:db8:*",
        "1.example.org",
        "1and1",
        "web-1",
    ],
)
def test_addresses_networks_names_and_patterns_are_taken(value):
    check_from(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("10.0.0.0/255.0.0.0", "write 10.0.0.0/8 in place of 10.0.0.0/255.0.0.0"),
        ("192.0.2.1,!10.1.2.0/0.0.0.255", "write 10.1.2.0/24 in place"),
        ("10.0.0.1/8", "write 10.0.0.0/8 in place"),
        ("2001:db8::1/32", "write 2001:db8::/32 in place"),
        ("::ffff:192.0.2.1", "write 192.0.2.1 in place"),
        ("::ffff:192.0.2.0/120", "write 192.0.2.0/24 in place"),
        ("!10.0.0.1", "End it with"),
        ("!10.0.0.1,!10.0.0.2", "End it with"),
        ("192.0.2.1,!*", "it has “!\\*”"),
        ("192.0.2.1, 192.0.2.2", "a comma alone, without a blank"),
        ("192.0.2.1,", "cannot have this value"),
        ("192.0.2.1/33", "cannot have this value"),
        ("[192.0.2.1]", "cannot have this value"),
        # What sshd 9.2 makes of each: 192.168.1.16, 10.0.0.1, 10.0.0.1, 192.0.2.1; and of the others nothing.
        ("192.168.001.020", "192.168.001.020 is no whole address"),
        ("192.0.2.1,10.1", "10.1 is no whole address"),
        ("0x0a000001", "is no whole address"),
        ("3221225985", "is no whole address"),
        ("10.1.", "pattern such as 10.1"),
        ("10.0.0.256", "is no whole address"),
        ("10.0.0.1-9", "is no whole address"),
        ("10.0.0.1:22", "is no whole address"),
        ("2001:db8:", "is no whole address"),
        ("!10.1,*", "is no whole address"),
        ("192.0.2.1%eth0", "192.0.2.1%eth0 is no whole address"),
    ],
)
def test_what_lets_in_nobody_or_others_than_it_says_is_refused_with_what_to_write(value, said):
    with pytest.raises(BadKey, match=said):
        check_from(value)


# Kept by an older version: whether a server gets the key.
KEPT = {
    'from="10.0.0.0/255.0.0.0"': False,
    'from="!10.0.0.1"': False,
    'from="10.0.0.0/255.0.0.0,192.0.2.1"': True,  # somebody comes in by the second one, and goes on to
    'from="10.1"': True,  # to sshd 10.0.0.1, who may count on it
    'expiry-time="19690101"': False,
    'expiry-time="99991231"': True,
    'permitlisten="99999"': False,
    'permitopen="a:0"': False,
    'command="a\tb"': False,
    "no-pty": True,
}


@pytest.mark.django_db
@pytest.mark.parametrize(("options", "sent"), KEPT.items())
def test_what_an_older_version_kept_is_sent_where_somebody_comes_in_with_it(admin, options, sent):
    make_server("web").owners.add(admin)
    key = make_key(admin, "old", options=options)
    make_key(admin, "good")
    assert is_sent(options, f"{options} {KEY}") == key.sent == sent
    lines = b"".join(contents(["web"])["web"].parts).decode()
    assert (key.blob in lines) == sent
    assert "good" in lines
    if not sent:
        assert not limits_of(options).opens_shell


@pytest.mark.parametrize(
    ("value", "everywhere"),
    [
        ("0.0.0.0/0,::/0", True),
        ("::/0,web1,0.0.0.0/0", True),
        ("0.0.0.0/0,::/0,!10.0.0.1", False),
        ("*", True),
        ("10.0.0.0/8,*", True),
        ("!10.0.0.1,*", False),
        ("0.0.0.0/0", False),
        ("*.example.org", False),
    ],
)
def test_a_from_that_keeps_no_address_out_limits_nothing(value, everywhere):
    limits = limits_of(f'from="{value}"')
    assert (limits.opens_shell, limits.sources) == ((True, "") if everywhere else (False, value))


@pytest.mark.django_db
def test_the_update_reads_again_what_kept_keys_open(admin):
    old = make_key(admin, "old", options='permitlisten="99999"')
    good = make_key(admin, "good", options="no-pty")
    Key.objects.update(opens_shell=True)
    import_module("keymanager.migrations.0009_options_read_again").read_options(apps, None)
    assert not Key.objects.get(pk=old.pk).opens_shell
    assert Key.objects.get(pk=good.pk).opens_shell
