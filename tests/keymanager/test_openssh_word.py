"""The word of the OpenSSH on the panel's machine about a key, and that none of its troubles keeps a key out."""

from dataclasses import replace
from pathlib import Path

import pytest

from accounts.models import User
from keymanager import openssh_word
from keymanager.bad_key import BadKey
from keymanager.lines import TYPES
from keymanager.models import Key
from keymanager.openssh import PublicKey, parse_key
from keymanager.openssh_word import _good_blob, check_by_openssh
from keymanager.services.keys import add_keys
from tests.keymanager.fetchers import ACTOR
from tests.waiting import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """A busy machine takes its time to start a program, and an OpenSSH that is not waited for has nothing to say."""
    monkeypatch.setattr(openssh_word, "SECONDS", PATIENCE_SECONDS)


def key_of(kind: str) -> PublicKey:
    return parse_key(f"{kind} {_good_blob(kind)} one")


def openssh(folder: Path, monkeypatch, script: str) -> None:
    """Another ssh-keygen is the one of this machine."""
    program = folder / "ssh-keygen"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize("kind", TYPES)
def test_a_good_key_of_each_type_is_read_by_openssh_as_by_the_panel(kind):
    key = key_of(kind)
    check_by_openssh(key)
    assert openssh_word._print_of(kind, key.blob) == key.fingerprint


@pytest.mark.parametrize("kind", TYPES)
def test_a_key_that_openssh_does_not_read_is_refused(kind):
    good = key_of(kind)
    with pytest.raises(BadKey, match="does not read"):
        check_by_openssh(replace(good, blob=good.blob[:-8]))


def test_a_key_that_openssh_takes_for_another_one_is_refused():
    one, other = key_of("ssh-ed25519"), key_of("ssh-ed25519")
    with pytest.raises(BadKey, match="another key"):
        check_by_openssh(replace(one, fingerprint=other.fingerprint))


# What an OpenSSH of before 8.2 says of a key on a security key, and programs that are no help at all.
TROUBLE = {
    "too old for the type": "grep -q ^sk- && { echo '(stdin) is not a public key file.' >&2; exit 255; }",
    "broken": "echo 'error while loading shared libraries' >&2; exit 127",
    "killed": "kill -SEGV $$",
    "garbage": "echo hello",
    "nothing": "exit 0",
    "endless": "cat /dev/zero",
    "does not read what it gets": "exec <&-; exit 1",
}


@pytest.mark.parametrize("what", TROUBLE)
def test_an_openssh_that_has_nothing_to_say_keeps_no_key_out(tmp_path, monkeypatch, what):
    openssh(tmp_path, monkeypatch, TROUBLE[what])
    check_by_openssh(key_of("sk-ssh-ed25519@openssh.com"))


def test_an_openssh_that_does_not_end_is_ended_and_keeps_no_key_out(tmp_path, monkeypatch):
    openssh(tmp_path, monkeypatch, "sleep 100")
    monkeypatch.setattr(openssh_word, "SECONDS", 0.3)
    check_by_openssh(key_of("ssh-ed25519"))


def test_without_openssh_the_rules_count_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    check_by_openssh(key_of("ssh-ed25519"))


REFUSES_ONE = """
read -r line
case $line in *BLOB*) echo "(stdin) is not a public key file." >&2; exit 255 ;; esac
echo "$line" | /usr/bin/ssh-keygen "$@"
"""


@pytest.mark.django_db
def test_a_key_is_asked_about_before_it_is_stored(tmp_path, monkeypatch):
    person = User.objects.create_user("ada", "correct horse battery")
    one = key_of("ssh-ed25519")
    openssh(tmp_path, monkeypatch, REFUSES_ONE.replace("BLOB", one.blob))
    with pytest.raises(BadKey, match="does not read"):
        add_keys(ACTOR, person, one.line)
    assert not Key.objects.exists()
    keys, _names, _repeats = add_keys(ACTOR, person, key_of("ssh-rsa").line)
    assert len(keys) == 1
