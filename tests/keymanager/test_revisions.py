"""Revisions grow with every change, and changes at the same moment wait for each other."""

import itertools
import threading
import time

import pytest
from django.db import connection, connections

from accounts import services as accounts
from accounts.actors import Actor
from accounts.leaving import take_access
from accounts.models import User
from keymanager.lockout import LockedOut, ways_in
from keymanager.models import KeySetRevision
from keymanager.revisions import touch
from keymanager.services import keys
from tests.keymanager.fleets import make_key, make_server

pytestmark = pytest.mark.services


def revision(name: str) -> int:
    return KeySetRevision.objects.get(name=name).revision


@pytest.mark.django_db
def test_each_touch_is_later_than_the_one_before_and_than_the_clock():
    before = time.time_ns() // 1_000_000
    touch(["a", "b", "a"])
    first = revision("a")
    assert before <= first == revision("b")
    touch(["a"])
    touch(["a"])
    assert revision("a") >= first + 2
    assert revision("b") == first


@pytest.mark.django_db
def test_a_revision_from_the_future_still_grows():
    KeySetRevision.objects.create(name="a", revision=10**15)
    touch(["a"])
    assert revision("a") == 10**15 + 1


@pytest.mark.django_db
def test_names_with_quotes_are_only_names():
    names = ["a'b", 'c"d', "e\\f", "☃"]
    touch(names)
    assert KeySetRevision.objects.filter(name__in=names).count() == 4


LOSE = {
    "key deleted": lambda actor, person: keys.delete_key(actor, person.ssh_keys.get()),
    "admin no more": lambda actor, person: accounts.change_user(actor, person, is_admin=False),
    "switched off": lambda actor, person: accounts.change_user(actor, person, is_active=False),
    "offboarded": take_access,
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(LOSE, 2)), ids="+".join)
def test_two_changes_at_once_cannot_each_leave_the_others_way_in_as_the_last(pair):
    actor = Actor(User.objects.create_superuser("root", "correct horse battery"), "root")
    server = make_server("s")
    both = []
    for name, lose in zip(("ann", "bea"), pair, strict=True):
        person = User.objects.create(username=name, is_admin=True)
        server.owners.add(person)
        make_key(person, name)
        both.append((person, LOSE[lose]))
    refused: list[LockedOut] = []

    def act(person, lose):
        try:
            lose(actor, person)
        except LockedOut as error:
            refused.append(error)
        finally:
            if threading.current_thread() is not threading.main_thread():
                connections.close_all()

    if connection.vendor == "sqlite":  # one writer at a time anyway, and tests keep it in memory
        for one in both:
            act(*one)
    else:
        threads = [threading.Thread(target=act, args=one) for one in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(refused) == 1
    assert ways_in(["s"])["s"].trusted
