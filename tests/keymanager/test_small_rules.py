"""Small rules of this room, each by itself."""

import base64
import hashlib

import pytest
from django.utils import timezone

from accounts.models import User
from keymanager import signing
from keymanager.bad_key import BadKey
from keymanager.key_options import canonical_options
from keymanager.keysets import key_sets, panel_line
from keymanager.lines import is_user
from keymanager.lockout import FOREVER, LockedOut, Ways, check_ways, ways_in
from keymanager.models import Group, SigningKey
from keymanager.openssh import parse_keys
from keymanager.paths import why
from pages.second_word import second_word
from tests.keymanager.fetchers import ACTOR, let_in
from tests.keymanager.fleets import ed25519_blob, make_key, make_server, unit

pytestmark = pytest.mark.django_db
ALL = Ways(FOREVER, FOREVER, panel=True)
NONE = Ways()


@pytest.mark.parametrize("name", ["\ud800", "a\ud800", "é", "A", "", "-a", "1a", "a b"])
def test_what_is_no_unix_user_is_taken_for_none(name):
    assert not is_user(name)


def test_the_worst_loss_of_each_server_is_told():
    after = {
        "a": NONE,
        "b": Ways(FOREVER),
        "c": Ways(FOREVER, FOREVER),
        "d": ALL,
        "e": Ways(FOREVER, timezone.now(), panel=True),
    }
    for name in "abcde":
        make_server(name, "root")
        before = {name: ALL}
        if name == "d":
            check_ways(before, after)
            continue
        with pytest.raises(LockedOut) as raised:
            check_ways(before, after)
        told = raised.value
        found = [bool(names) for names in (told.nobody, told.no_admin, told.no_panel, told.ending)]
        assert found == [name == "a", name == "b", name == "c", name == "e"]


def test_a_name_whose_root_is_gone_does_not_count():
    check_ways({"a": ALL}, {})


def test_what_was_not_there_before_is_not_lost():
    check_ways({"a": NONE}, {"a": NONE})


def test_whoever_gave_the_second_word_may_lock_everybody_out():
    with second_word():
        check_ways({"a": ALL}, {"a": NONE})


def test_the_key_of_somebody_who_is_gone_is_no_way_in():
    server = make_server("web1", "root")
    person = let_in(server, "ada")
    assert ways_in(["web1"])["web1"].anyone
    assert not ways_in(["web1"])["web1"].trusted
    User.objects.filter(pk=person.pk).update(is_admin=True)
    assert ways_in(["web1"])["web1"].trusted
    User.objects.filter(pk=person.pk).update(is_active=False)
    assert ways_in(["web1"])["web1"] == NONE


def test_a_group_without_keys_lets_nobody_in_and_costs_nobody_else():
    server = make_server("web1", "root")
    let_in(server, "ada")
    Group.objects.create(name="empty").allowed_servers.add(server)
    assert len(key_sets(["web1"])["web1"]["root"]) == 1


def test_a_path_says_what_holds_the_key():
    server, other = make_server("web1", "root"), make_server("web2", "root")
    let_in(server, "ada")
    key = make_key(unit(other), "machine")
    group = Group.objects.create(name="machines")
    group.member_keys.add(key)
    group.allowed_servers.add(server)
    kinds = {str(path.as_json()["holder"]): path.as_json()["holder_kind"] for path in why(server)}
    assert kinds.pop("ada") == "person"
    assert list(kinds.values()) == ["server"]


def test_the_panels_own_line_is_its_public_key_whatever_its_comment():
    blob = ed25519_blob(b"panel")
    digest = base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")
    line = panel_line(f"ssh-ed25519 {blob}")
    assert line.text == f"ssh-ed25519 {blob} gestion"
    assert line.fingerprint == f"SHA256:{digest}"
    assert panel_line(f"ssh-ed25519 {blob} of the panel \n").comment == "of the panel"


def test_the_signing_key_is_made_once_and_kept():
    first = signing.current_key()
    assert signing.current_key() == first
    assert SigningKey.objects.get().signs


def test_a_next_key_is_prepared_beside_one_that_signs():
    following = signing.prepare_next_key(ACTOR)
    assert SigningKey.objects.get(signs=True) != following
    assert signing.allowed_signers().count("\n") == 2
    with pytest.raises(signing.AlreadyPrepared):
        signing.prepare_next_key(ACTOR)
    signing.use_next_key(ACTOR)
    assert SigningKey.objects.get(signs=True) == following
    assert signing.allowed_signers() == f'gestion namespaces="{signing.NAMESPACES}" {following.public_key}\n'


def test_an_option_whose_quote_is_never_closed_is_told_by_its_name():
    with pytest.raises(BadKey, match="closing quote"):
        canonical_options('command="open')


def test_the_line_of_a_bad_key_is_told_only_where_there_are_several():
    good = f"ssh-ed25519 {ed25519_blob(b'x')}"
    with pytest.raises(BadKey) as alone:
        parse_keys("no key")
    with pytest.raises(BadKey) as second:
        parse_keys(f"{good}\nno key")
    assert "Line 2" in str(second.value)
    assert "Line" not in str(alone.value)


def test_a_path_by_another_server_of_the_same_name_is_shared():
    make_server("other", "root", "deploy", "third")  # so that no unix user has the number of its server
    one, two = make_server("a1", "root", km="both"), make_server("a2", "root", km="both")
    let_in(one, "ada")
    group = Group.objects.create(name="of a unix user")
    group.member_users.add(User.objects.get(username="ada"))
    group.allowed_unix_users.add(unit(one))
    assert {path.shared for path in why(one)} == {False}
    assert {path.shared for path in why(two)} == {True}
