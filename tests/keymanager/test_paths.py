"""The reasons that are shown are the reasons for what is in the key sets, in both directions."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import User
from keymanager.keysets import key_sets
from keymanager.models import Group, Key
from keymanager.paths import servers_open_to, where, why
from servers.models import Server
from tests.keymanager.fleets import make_key, make_server, random_fleet, unit

pytestmark = pytest.mark.services


class RandomFleets(TestCase):
    @given(st.integers(0, 10**9))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_paths_and_key_sets_say_the_same(self, seed):
        random_fleet(seed)
        everywhere = []
        for server in Server.objects.all():
            sets = key_sets([server.keymanager_name])[server.keymanager_name]
            paths = why(server)
            everywhere += paths
            for user in sets:  # which is what the server gets
                shown = {key.fingerprint for path in paths if path.unix_user == user for key in path.keys}
                assert shown == {line.fingerprint for line in sets[user]}
                options = {line.fingerprint: line.options for line in sets[user]}
                for key in (key for path in paths if path.unix_user == user for key in path.keys):
                    assert key.options == options[key.fingerprint]
                assert [path for path in paths if path.unix_user == user] == why(server, user)
        for person in User.objects.all():
            mine = {
                (path.server.pk, path.unix_user, path.group, str(path.by))
                for path in everywhere
                if path.holder == person
            }
            found = where(person)
            assert {path.server.pk for path in found} <= set(
                servers_open_to(person).values_list("pk", flat=True)
            )
            if person.ssh_keys.exists():
                assert {(path.server.pk, path.unix_user, path.group, str(path.by)) for path in found} == mine
            else:
                assert not mine


@pytest.mark.django_db
def test_the_path_names_the_group_the_place_and_the_shared_name():
    web1, web2 = make_server("web1", km="web"), make_server("web2", km="web")
    carol = User.objects.create(username="carol")
    key = make_key(carol, "carol")
    group = Group.objects.create(name="admins")
    group.member_users.add(carol)
    group.allowed_unix_users.add(unit(web1))
    [path] = why(web2)
    assert (path.holder, path.keys, path.group, path.by) == (carol, (key,), group, unit(web1))
    assert path.shared
    assert not path.whole_server
    assert not why(web1)[0].shared
    assert [found.server for found in where(carol)] == [web1, web2]


@pytest.mark.django_db
def test_a_unix_user_on_the_list_of_a_server_of_the_same_name_alone_is_shown_since_keys_come_there_too(
    admin_client,
):
    web1, web2 = make_server("web1", km="web"), make_server("web2", km="web")
    carol = User.objects.create(username="carol")
    make_key(carol, "carol")
    group = Group.objects.create(name="deployers")
    group.member_users.add(carol)
    group.allowed_unix_users.add(web2.unix_users.create(name="deploy"))
    assert [(path.server, path.unix_user) for path in why(web1)] == [(web1, "deploy")]
    assert [(path.server, path.unix_user) for path in where(carol)] == [(web1, "deploy"), (web2, "deploy")]
    page = f"/keymanager/servers/{web1.pk}/"
    assert admin_client.get(page, headers={"Accept": "application/json"}).json()["keys"] == {
        "deploy": 1,
        "root": 0,
    }
    assert 'id="unit-deploy"' in admin_client.get(page).content.decode()


@pytest.mark.django_db
def test_of_a_key_that_unix_users_share_the_limits_are_those_that_are_sent():
    """A container is cloned with its keys, and one of the two is limited then: the other was shown without a limit."""
    web1, web2, store = make_server("web1"), make_server("web2"), make_server("store")
    group = Group.objects.create(name="push")
    group.member_servers.add(web1, web2)
    group.allowed_servers.add(store)
    key = make_key(unit(web1), "web")
    twin = Key.objects.create(
        unix_user=unit(web2), options='command="push"', type=key.type, blob=key.blob, bits=key.bits,
        fingerprint=key.fingerprint,
    )  # fmt: skip
    assert [(path.holder, path.keys) for path in why(store)] == [
        (unit(web1), (twin,)),
        (unit(web2), (twin,)),
    ]


@pytest.mark.django_db
def test_someone_without_a_key_sees_where_she_could_log_in():
    carol = User.objects.create(username="carol")
    server = make_server("s")
    server.owners.add(carol)
    [path] = where(carol)
    assert path.keys == ()
    assert why(server) == []


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_people_and_servers():
    def fleet(count: int) -> tuple[Server, User]:
        group = Group.objects.create(name=f"g{count}")
        for number in range(count):
            person = User.objects.create(username=f"p{count}-{number}")
            make_key(person, f"k{count}-{number}")
            server = make_server(f"s{count}-{number}", "root", "deploy", km=f"name{count}")
            server.owners.add(person)
            group.member_users.add(person)
            group.member_servers.add(server)
            group.allowed_servers.add(server)
        return server, person

    counts = []
    for size in (2, 12):
        server, person = fleet(size)
        with CaptureQueriesContext(connection) as asked:
            assert why(server)
        with CaptureQueriesContext(connection) as answered:
            assert where(person)
        counts.append((len(asked), len(answered)))
    assert counts[0] == counts[1]
    assert max(counts[0]) <= 16
