"""Key sets are right, and cost the same number of queries for one name as for many."""

import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.models import User
from keymanager.keysets import key_sets
from keymanager.models import Group
from servers.models import Server
from tests.keymanager.fleets import make_key, make_server, naive_key_sets, random_fleet, unit

pytestmark = pytest.mark.services


def texts(name: str, user: str = "root") -> list[str]:
    return [line.text for line in key_sets([name])[name][user]]


class RandomFleets(TestCase):
    @given(st.integers(0, 10**9))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def test_key_sets_equal_a_second_naive_computation_on_a_randomly_made_fleet(self, seed):
        random_fleet(seed)
        naive = naive_key_sets()
        quick = key_sets(naive)
        assert {
            name: {u: [x.text for x in lines] for u, lines in users.items()} for name, users in quick.items()
        } == naive
        one = random.Random(seed).choice(sorted(naive))
        assert key_sets([one]) == {one: quick[one]}


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow_with_the_number_of_names():
    group = Group.objects.create(name="all", includes_panel=True)
    for number in range(40):
        server = make_server(f"s{number}", "root", "deploy")
        person = User.objects.create(username=f"p{number}")
        make_key(person, f"k{number}")
        server.owners.add(person)
        group.member_users.add(person)
        group.allowed_servers.add(server)
    with CaptureQueriesContext(
        connection,
    ) as one:
        key_sets(["s1"])
    with CaptureQueriesContext(connection) as many:
        key_sets([f"s{number}" for number in range(40)])
    assert len(one) == len(many) <= 11


@pytest.mark.django_db
def test_an_unknown_name_is_left_out_and_a_server_without_unix_users_has_no_sets():
    Server.objects.create(name="bare", keymanager_name="bare")
    assert key_sets(["bare", "nobody"]) == {"bare": {}}
    assert key_sets([]) == {}


@pytest.mark.django_db
def test_a_restriction_is_not_lost_when_two_owners_have_the_same_key():
    one, other = make_server("one"), make_server("other")
    make_key(unit(one), "clone", comment="a")
    make_key(unit(other), "clone", options="no-pty", comment="b")
    target = make_server("target")
    group = Group.objects.create(name="g")
    group.member_servers.add(one, other)
    group.allowed_servers.add(target)
    assert len(texts("target")) == 1
    assert texts("target")[0].startswith("no-pty ssh-ed25519 ")


@pytest.mark.django_db
def test_keys_of_people_who_are_not_active_do_not_count():
    server = make_server("s")
    person = User.objects.create(username="p")
    make_key(person, "k")
    server.owners.add(person)
    assert len(texts("s")) == 1
    person.is_active = False
    person.save()
    assert texts("s") == []


@pytest.mark.django_db
def test_servers_that_share_a_keymanager_name_share_the_union_of_what_is_allowed():
    one, two = make_server("one", "root", km="web"), make_server("two", "root", "deploy", km="web")
    ada, bea = User.objects.create(username="ada"), User.objects.create(username="bea")
    make_key(ada, "a")
    make_key(bea, "b")
    one.owners.add(ada)
    two.owners.add(bea)
    assert len(texts("web")) == 2
    assert [text.split()[-1] for text in texts("web", "deploy")] == ["b"]


@pytest.mark.django_db
@pytest.mark.parametrize("narrow", ['command="/bin/x"', 'from="192.0.2.1"', 'expiry-time="20990101"'])
def test_of_one_key_the_line_that_takes_more_away_wins_and_not_the_longer_one(narrow):
    group = Group.objects.create(name="servers")
    group.allowed_servers.add(make_server("x"))
    for name, options in (("a", "no-agent-forwarding,no-port-forwarding,no-X11-forwarding"), ("b", narrow)):
        group.member_servers.add(make_server(name))
        make_key(Server.objects.get(name=name).unix_users.get(), "cloned", options=options)
    assert [line.options for line in key_sets(["x"])["x"]["root"]] == [narrow]
