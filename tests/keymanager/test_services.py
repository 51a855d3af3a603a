"""What a person does with keys and groups: rules, audit, and which key sets it touches."""

import pytest

from accounts.actors import Actor
from accounts.models import AuditEntry, User
from keymanager.bad_key import BadKey
from keymanager.keysets import key_sets
from keymanager.models import Group, Key, KeySetRevision
from keymanager.services import groups, keys
from keymanager.services.recommended import RECOMMENDED, make_recommended_group, missing_recommended
from pages.second_word import SecondWordNeeded, ask, second_word
from servers.models import Server, Tag
from tests.keymanager.fleets import ed25519_blob, make_key, make_server, unit

pytestmark = [pytest.mark.django_db, pytest.mark.services]


def line(seed: str) -> str:
    return f"ssh-ed25519 {ed25519_blob(seed.encode())} {seed}"


def revisions() -> dict[str, int]:
    return dict(KeySetRevision.objects.exclude(name="").values_list("name", "revision"))


def person(name: str, *, admin: bool = False, key: bool = True) -> User:
    user = User.objects.create(username=name, is_admin=admin)
    if key:
        make_key(user, name)
    return user


@pytest.fixture
def actor(admin):
    return Actor(admin, admin.username)


@pytest.fixture
def by_member(member):
    return Actor(member, member.username)


class TestKeys:
    def test_many_pasted_keys_are_added_at_once_and_each_is_in_the_audit_trail(self, actor, member):
        added, _names, _repeats = keys.add_keys(actor, member, f"{line('a')}\nno-pty {line('b')}\n")
        assert [key.comment for key in added] == ["a", "b"]
        assert Key.objects.get(comment="b").options == "no-pty"
        assert AuditEntry.objects.filter(verb="key.add").count() == 2

    def test_one_bad_key_among_several_leaves_none(self, actor, member):
        with pytest.raises(BadKey):
            keys.add_keys(actor, member, f"{line('a')}\nssh-dss AAAA")
        assert not member.ssh_keys.exists()

    def test_a_key_is_not_added_twice_to_its_owner(self, actor, member):
        keys.add_keys(actor, member, line("a"))
        with pytest.raises(BadKey, match="here already"):
            keys.add_keys(actor, member, f"{line('a')} again\n{line('a')}")
        added, _names, _repeats = keys.add_keys(actor, member, f"{line('b')}\n{line('b')} other\n{line('a')}")
        assert [key.comment for key in added] == ["b"]
        with pytest.raises(BadKey, match="different options"):
            keys.add_keys(actor, member, f"{line('c')}\nno-pty {line('c')}")
        assert member.ssh_keys.count() == 2

    def test_a_key_of_somebody_else_is_refused_and_only_an_admin_learns_whose(self, actor, by_member, member):
        person("carol")
        with pytest.raises(BadKey, match="carol"):
            keys.add_keys(actor, member, line("carol"))
        with pytest.raises(BadKey) as told:
            keys.add_keys(by_member, member, f"ssh-ed25519 {ed25519_blob(b'carol')} mine")
        assert "carol" not in str(told.value)

    def test_a_person_cannot_take_a_servers_key_but_cloned_servers_may_share_one(
        self, actor, by_member, member
    ):
        one, two = unit(make_server("one")), unit(make_server("two"))
        make_key(one, "host")
        with pytest.raises(BadKey) as told:
            keys.add_keys(by_member, member, line("host"))
        assert "one" not in str(told.value)
        keys.add_keys(actor, two, line("host"))
        assert two.ssh_keys.count() == 1

    def test_nobody_has_more_than_fifty_keys(self, by_member, member):
        with pytest.raises(BadKey, match="50"):
            keys.add_keys(by_member, member, "\n".join(line(f"k{number}") for number in range(51)))
        assert not member.ssh_keys.exists()

    def test_adding_and_deleting_touch_exactly_the_names_where_the_key_counts(self, actor):
        carol = person("carol")
        in_group, owned, _other = make_server("in-group"), make_server("owned"), make_server("other")
        group = Group.objects.create(name="g")
        group.member_users.add(carol)
        group.allowed_unix_users.add(unit(in_group))
        owned.owners.add(carol)
        _keys, names, _repeats = keys.add_keys(actor, carol, line("second"))
        assert names == {"in-group", "owned"} == set(revisions())
        before = revisions()
        keys.delete_key(actor, Key.objects.get(comment="second"))
        assert set(revisions()) == set(before)
        assert all(revisions()[name] > before[name] for name in before)
        assert AuditEntry.objects.filter(verb="key.delete").count() == 1

    def test_a_key_of_somebody_inactive_touches_nothing(self, actor):
        carol = person("carol")
        User.objects.filter(pk=carol.pk).update(is_active=False)
        carol.refresh_from_db()
        make_server("s").owners.add(carol)
        assert keys.add_keys(actor, carol, line("x"))[1] == set()
        assert revisions() == {}

    def test_a_key_of_a_unix_user_touches_where_its_server_or_itself_is_a_member(self, actor):
        backup, target, other = (
            make_server("backup", "root", "bak"),
            make_server("target"),
            make_server("other"),
        )
        single = make_key(unit(backup, "bak"), "single")
        whole, alone = Group.objects.create(name="whole"), Group.objects.create(name="alone")
        whole.member_servers.add(backup)
        whole.allowed_servers.add(target)
        alone.member_keys.add(single)
        alone.allowed_servers.add(other)
        assert keys.add_keys(actor, unit(backup), line("new"))[1] == {"target"}
        with second_word():
            assert keys.delete_key(actor, single) == {"target", "other"}


class TestGroups:
    def test_members_and_places_touch_exactly_what_they_concern(self, actor):
        one, two, _three = make_server("one"), make_server("two", "root", "deploy"), make_server("three")
        group = groups.create_group(actor, name="g")
        assert revisions() == {}
        assert groups.add_to_group(actor, group, "allowed_servers", [one]) == {"one"}
        assert groups.add_to_group(actor, group, "allowed_unix_users", [unit(two, "deploy")]) == {"two"}
        assert set(revisions()) == {"one", "two"}
        assert groups.add_to_group(actor, group, "member_users", [person("carol")]) == {"one", "two"}
        assert [entry.text for entry in key_sets(["two"])["two"]["root"]] == []
        assert len(key_sets(["two"])["two"]["deploy"]) == 1
        before = revisions()
        with second_word():
            assert groups.remove_from_group(actor, group, "allowed_servers", one) == {"one"}
        assert revisions()["two"] == before["two"]
        assert revisions()["one"] > before["one"]

    def test_adding_what_is_there_and_removing_what_is_not_changes_nothing(self, actor):
        server = make_server("one")
        group = groups.create_group(actor, name="g")
        groups.add_to_group(actor, group, "allowed_servers", [server])
        audited, before = AuditEntry.objects.count(), revisions()
        assert groups.add_to_group(actor, group, "allowed_servers", [server]) == set()
        assert groups.remove_from_group(actor, group, "member_users", person("carol")) == set()
        assert (AuditEntry.objects.count(), revisions()) == (audited, before)

    def test_a_new_name_touches_nothing_and_the_panels_key_touches_all_places(self, actor):
        group = groups.create_group(actor, name="g")
        groups.add_to_group(actor, group, "allowed_servers", [make_server("one")])
        before = revisions()
        assert groups.change_group(actor, group, name="h") == set()
        assert revisions() == before
        assert groups.change_group(actor, group, includes_panel=True) == {"one"}
        assert len(key_sets(["one"])["one"]["root"]) == 1

    def test_a_deleted_group_leaves_its_members_and_what_it_was_in_the_audit_trail(self, actor):
        carol = person("carol")
        group = groups.create_group(actor, name="g")
        groups.add_to_group(actor, group, "member_users", [carol])
        assert groups.delete_group(actor, group) == set()
        assert User.objects.filter(pk=carol.pk).exists()
        before = AuditEntry.objects.get(verb="group.delete").before
        assert before is not None
        assert before["member_users"] == ["carol"]

    def test_recommended_groups_are_made_once_and_filled(self, actor):
        make_server("one")
        make_server("backup1").tags.add(Tag.objects.create(name="backup"))
        assert {each.key for each in missing_recommended()} == set(RECOMMENDED)
        gestion = make_recommended_group(actor, "gestion")
        assert gestion.includes_panel
        assert [str(server) for server in gestion.member_servers.all()] == ["backup1"]
        assert gestion.allowed_servers.count() == Server.objects.count()
        users = make_recommended_group(actor, "users")
        assert users.member_users.count() == User.objects.count()
        User.objects.create_user("later")
        assert users.member_users.count() < User.objects.count()
        assert (
            "who comes later is added by hand" in users.description
        )  # whole: what a group keeps of it ends there
        assert all(len(str(each.what)) <= 255 for each in RECOMMENDED.values())
        assert make_recommended_group(actor, "servers").member_servers.count() == Server.objects.count()
        assert missing_recommended() == []
        with pytest.raises(ValueError, match="Users"):
            make_recommended_group(actor, "users")

    def test_the_second_word_stays_off_unless_given(self):
        question = SecondWordNeeded(["All of it is lost."])
        with second_word():
            ask(question)
        with pytest.raises(SecondWordNeeded):
            ask(question)
        ask(SecondWordNeeded([]))
