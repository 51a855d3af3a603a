"""The last way in is never removed without a second word, whichever change would remove it."""

import base64
from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts import services as accounts
from accounts.actors import Actor
from accounts.models import User
from accounts.registry import tell_removing
from keymanager.answers import contents
from keymanager.key_options import limits_of
from keymanager.keysets import key_sets
from keymanager.lockout import LockedOut, ways_in
from keymanager.models import Group, Key
from keymanager.services import groups, keys
from keymanager.unsent import unsent_keys
from keymanager.watching import lost_without
from pages.second_word import second_word
from servers.facts import facts_of
from servers.identity import panel_identity
from servers.models import PanelIdentity, Server, UnixUser
from servers.registry import held_by_unix_user, tell_changed
from servers.services import DeleteRefused, remove_unix_user
from tests.keymanager.fleets import fingerprint_of, make_key, make_server, random_fleet, unit

pytestmark = pytest.mark.services


class RandomFleets(TestCase):
    @given(st.integers(0, 10**9))
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_ways_in_are_what_the_key_sets_say(self, seed):
        random_fleet(seed)
        User.objects.filter(pk__in=User.objects.order_by("pk")[: seed % 4].values("pk")).update(is_admin=True)
        names = set(Server.objects.values_list("keymanager_name", flat=True))
        of_admins = set(
            Key.objects.filter(person__is_admin=True, person__is_active=True).values_list(
                "fingerprint", flat=True
            )
        )
        of_panel = {fingerprint_of(row.public_key.split()[1]) for row in PanelIdentity.objects.all()}
        expected = {}
        for name, users in key_sets(names).items():
            if "root" in users:
                found = {key.fingerprint for key in users["root"] if limits_of(key.options).opens_shell}
                expected[name] = (bool(found), bool(found & (of_admins | of_panel)), bool(found & of_panel))
        ways = {
            name: (bool(way.anyone), bool(way.trusted), way.panel) for name, way in ways_in(names).items()
        }
        for name, should in expected.items():
            # A server's unix user may hold the same key as an admin, and two of them one with other options: only then
            # do the sets know more.
            assert ways[name][0] >= should[0]
            assert ways[name][2] == should[2]
            assert ways[name][1] <= should[1]
        assert set(ways) == set(expected)


@pytest.fixture
def actor(admin):
    return Actor(admin, admin.username)


@pytest.fixture
def ann(db):
    user = User.objects.create(username="ann", is_admin=True)
    make_key(user, "ann")
    return user


@pytest.fixture
def group(ann):
    """Ann, the only admin with a key, is allowed on s and t by this group."""
    made = Group.objects.create(name="g")
    made.member_users.add(ann)
    made.allowed_servers.add(make_server("s"), make_server("t"))
    return made


PAST, NEXT_WEEK = "20200101", f"{timezone.now() + timedelta(days=7):%Y%m%d}"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (f'expiry-time="{PAST}"', "nobody could log in"),
        ('from="192.0.2.7"', "nobody could log in"),
        ('restrict,command="true"', "nobody could log in"),
        # Of an older version: no server takes the line, or lets anybody in with it.
        ('command="a\tb"', "nobody could log in"),
        ('from="10.0.0.0/255.0.0.0"', "nobody could log in"),
        ('from="!10.0.0.1"', "nobody could log in"),
        ('permitlisten="99999"', "nobody could log in"),
        (f'expiry-time="{NEXT_WEEK}"', "ends by time"),
    ],
)
def test_a_key_that_opens_no_shell_or_will_end_does_not_let_the_last_one_go(actor, ann, group, options, told):
    make_key(ann, "other", options=options)
    with pytest.raises(LockedOut, match=told):
        keys.delete_key(actor, ann.ssh_keys.get(comment="ann"))
    assert ann.ssh_keys.count() == 2
    make_key(ann, "good", options="no-port-forwarding")
    keys.delete_key(actor, ann.ssh_keys.get(comment="ann"))


def rsa_blob(bits: int) -> str:
    parts = (b"ssh-rsa", (65537).to_bytes(3, "big"), b"\0" + (2**bits - 1).to_bytes(bits // 8, "big"))
    return base64.b64encode(b"".join(len(part).to_bytes(4, "big") + part for part in parts)).decode()


@pytest.mark.parametrize(("bits", "read"), [(16384, True), (16392, False), (32768, False)])
def test_an_rsa_key_longer_than_openssh_reads_is_in_no_answer_and_no_way_in(actor, ann, group, bits, read):
    blob = rsa_blob(bits)
    old = make_key(ann, "old", kind="ssh-rsa")
    Key.objects.filter(pk=old.pk).update(
        blob=blob, bits=bits, fingerprint=fingerprint_of(blob)
    )  # as it was kept
    old.refresh_from_db()
    assert old.sent == read
    assert (blob in b"".join(contents(["s"])["s"].parts).decode()) == read
    assert list(unsent_keys()) == ([] if read else [old])
    assert ann.ssh_keys.filter(pk__in=Key.objects.opening()).count() == 1 + read
    with nullcontext() if read else pytest.raises(LockedOut, match="nobody could log in"):
        keys.delete_key(actor, ann.ssh_keys.get(comment="ann"))


@pytest.mark.parametrize("holder", ["owner", "server"])
def test_where_no_admin_gets_in_the_last_key_that_lasts_is_asked_about_too(actor, holder):
    server, other = make_server("s"), make_server("backup")
    owner: User | UnixUser = unit(other)
    if holder == "owner":
        owner = User.objects.create(username="bob")
        server.owners.add(owner)
    else:
        group = Group.objects.create(name="g")
        group.member_servers.add(other)
        group.allowed_servers.add(server)
    make_key(owner, "lasting")
    make_key(owner, "short", options=f'expiry-time="{NEXT_WEEK}"')
    with pytest.raises(LockedOut, match="ends by time: s"):
        keys.delete_key(actor, Key.objects.get(comment="lasting"))
    assert ways_in({"s"})["s"].ends_at is None
    with second_word():
        keys.delete_key(actor, Key.objects.get(comment="lasting"))
    assert ways_in({"s"})["s"].ends_at is not None


CHANGES = {
    "key deleted": lambda actor, ann, group: keys.delete_key(actor, ann.ssh_keys.get()),
    "group deleted": lambda actor, ann, group: groups.delete_group(actor, group),
    "member removed": lambda actor, ann, group: groups.remove_from_group(actor, group, "member_users", ann),
    "place removed": lambda actor, ann, group: groups.remove_from_group(
        actor, group, "allowed_servers", Server.objects.get(name="s")
    ),
    "admin switched off": lambda actor, ann, group: accounts.change_user(actor, ann, is_active=False),
    "admin made a member": lambda actor, ann, group: accounts.change_user(actor, ann, is_admin=False),
    "admin deleted": lambda actor, ann, group: accounts.delete_user(actor, ann),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_that_takes_the_last_admins_key_from_root_is_refused_until_confirmed(
    actor, ann, group, change
):
    before = key_sets(["s", "t"])
    with pytest.raises(LockedOut) as told:
        change(actor, ann, group)
    assert any(": s" in sentence for sentence in told.value.sentences)
    assert key_sets(["s", "t"]) == before
    with second_word():
        change(actor, User.objects.get(username="ann"), Group.objects.get(name="g"))
    assert not ways_in(["s"])["s"].trusted


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nothing_is_asked_while_another_admin_has_a_way_in(actor, ann, group, change):
    other = User.objects.create(username="bea", is_admin=True)
    make_key(other, "bea")
    Server.objects.get(name="s").owners.add(other)
    Server.objects.get(name="t").owners.add(other)
    change(actor, ann, group)


def test_the_panels_own_way_in_counts_for_itself(actor, ann, group):
    panel_identity()
    gestion = Group.objects.create(name="gestion", includes_panel=True)
    gestion.allowed_servers.add(Server.objects.get(name="s"))
    with pytest.raises(LockedOut) as told:
        groups.change_group(actor, gestion, includes_panel=False)
    assert told.value.no_panel == ["s"]
    assert told.value.no_admin == []
    keys_of_ann = ann.ssh_keys.get()
    with pytest.raises(LockedOut) as told:
        keys.delete_key(actor, keys_of_ann)
    assert told.value.nobody == ["t"]  # on s the panel still has a way in


def test_a_member_who_is_the_only_one_to_get_in_is_a_last_way_in_too(actor):
    carol = User.objects.create(username="carol")
    key = make_key(carol, "carol")
    make_server("s").owners.add(carol)
    with pytest.raises(LockedOut) as told:
        keys.delete_key(actor, key)
    assert told.value.nobody == ["s"]


def change_server(actor, server, change):
    """What the servers room does around a change."""
    before = facts_of(server)
    change()
    tell_changed(actor, server, before, facts_of(server))


def test_an_owner_who_is_the_last_way_in_is_not_removed_unasked(actor, ann):
    server = make_server("s")
    server.owners.add(ann)
    with pytest.raises(LockedOut) as told:
        change_server(actor, server, server.owners.clear)
    assert told.value.nobody == ["s"]
    with second_word():
        change_server(actor, server, server.owners.clear)


def test_a_server_that_leaves_a_shared_name_does_not_take_the_others_way_in_unasked(actor, ann):
    one, _two = make_server("one", km="web"), make_server("two", km="web")
    one.owners.add(ann)
    rename = Server.objects.filter(pk=one.pk)
    with pytest.raises(LockedOut) as told:
        change_server(actor, one, lambda: rename.update(keymanager_name="alone"))
    assert told.value.nobody == ["two"] or "two" in told.value.nobody


def test_deleting_a_server_whose_key_is_the_last_way_into_another_is_asked_about(actor):
    backup, target = make_server("backup"), make_server("target")
    make_key(unit(backup), "backup")
    group = Group.objects.create(name="g")
    group.member_servers.add(backup)
    group.allowed_servers.add(target)
    with pytest.raises(LockedOut) as told:
        tell_changed(actor, backup, facts_of(backup), None)
    assert told.value.nobody == ["target"]
    assert unit(backup).ssh_keys.count() == 1


def test_deleting_a_server_asks_nothing_about_itself(actor, ann):
    server = make_server("s")
    server.owners.add(ann)
    tell_changed(actor, server, facts_of(server), None)


def test_deleting_a_person_without_keys_asks_nothing(db):
    carol = User.objects.create(username="carol")
    make_server("s").owners.add(carol)
    tell_removing(carol)


def test_a_unix_user_with_keys_must_lose_them_first(db):
    root = unit(make_server("s"))
    make_key(root, "k")
    assert [held.blocks for held in held_by_unix_user(root) if "SSH key" in str(held.text)] == [True]


def test_a_server_that_leaves_a_shared_name_does_not_lose_its_own_way_in_unasked(actor, group):
    """The group is allowed on `s` alone: `other` has its keys by the name that both share."""
    other = make_server("other", km="s")
    rename = Server.objects.filter(pk=other.pk)
    with pytest.raises(LockedOut) as told, transaction.atomic():
        change_server(actor, other, lambda: rename.update(keymanager_name="alone"))
    assert told.value.nobody == ["other"]
    with second_word():
        change_server(actor, other, lambda: rename.update(keymanager_name="alone"))
    assert not ways_in(["alone"])["alone"].anyone


def test_root_is_not_taken_off_the_list_unasked_while_it_has_the_last_way_in(actor, group):
    root = unit(Server.objects.get(name="s"))
    with pytest.raises(LockedOut) as told:
        remove_unix_user(actor, root)
    assert told.value.nobody == ["s"]
    remove_unix_user(actor, UnixUser.objects.create(server=root.server, name="deploy"))
    with second_word():
        remove_unix_user(actor, root)
    assert ways_in(["s"]) == {}


def test_a_unix_user_with_keys_stays_on_the_list_whoever_asks(actor):
    server = make_server("backup")
    make_key(unit(server), "backup")
    with second_word(), pytest.raises(DeleteRefused, match="First change this: The SSH key backup"):
        remove_unix_user(actor, unit(server))
    assert unit(server).ssh_keys.count() == 1


def test_what_other_servers_lose_with_a_server_is_said_before_anything_goes(actor):
    backup, target = make_server("backup"), make_server("target")
    assert lost_without(backup) == []
    make_key(unit(backup), "backup")
    group = Group.objects.create(name="g")
    group.member_servers.add(backup)
    group.allowed_servers.add(backup, target)
    with second_word():
        (said,) = lost_without(backup)
    assert said == "After this nobody could log in as root with a key from here: target."
    target.owners.add(User.objects.create(username="ann", is_admin=True))
    make_key(User.objects.get(username="ann"), "ann")
    assert lost_without(backup) == []


def test_a_key_that_two_unix_users_share_is_a_way_in_only_as_the_key_set_has_it(actor):
    """Of both lines the narrower is sent, and the guard counted the wider."""
    group = Group.objects.create(name="servers")
    first, second = make_server("first"), make_server("second")
    group.allowed_servers.add(make_server("x"))
    group.member_servers.add(first)
    make_key(unit(first), "cloned")
    make_key(unit(second), "cloned", options='command="/usr/bin/rrsync /srv"')
    with pytest.raises(LockedOut, match="nobody could log in as root"):
        groups.add_to_group(actor, group, "member_servers", [second])
    assert not group.member_servers.filter(pk=second.pk).exists()
    with second_word():
        groups.add_to_group(actor, group, "member_servers", [second])
    assert ways_in({"x"})["x"].anyone is None


def test_the_panels_own_key_stored_for_a_unix_user_does_not_lock_the_panel_out(actor):
    group = Group.objects.create(name="gestion", includes_panel=True)
    group.allowed_servers.add(make_server("x"))
    group.member_servers.add(make_server("panel-host"))
    keys.add_keys(
        actor,
        UnixUser.objects.get(server__name="panel-host"),
        f'from="10.0.0.1" {panel_identity().public_key}',
    )
    (line,) = key_sets(["x"])["x"]["root"]
    assert (line.options, ways_in({"x"})["x"].panel) == ("", True)
