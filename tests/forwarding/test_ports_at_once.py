"""Two admins at once: both changes arrive, and of two that want one port only one gets it."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.actors import Actor
from forwarding.desired_ports import nat_of
from forwarding.models import PortClaim, PortForward
from forwarding.services.ports import create_port_forward, delete_port_forward
from servers.models import Rollout

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
ADMINS = 6


def at_once(work, arguments) -> list:
    """What work gives (or raises) for each argument, all begun at the same moment in threads of their own."""
    start = Barrier(len(arguments))

    def one(argument):
        start.wait()
        try:
            return work(argument)
        except ValidationError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(arguments)) as threads:
        return list(threads.map(one, arguments))


def test_rules_added_at_once_all_arrive(rows):
    made = at_once(
        lambda number: create_port_forward(Actor.system(f"admin {number}"), rows.rule(str(9000 + number))),
        range(ADMINS),
    )
    assert {rule.pk for rule in made} == {forward.pk for forward in nat_of(rows.pve1).forwards}
    assert Rollout.objects.get().wanted == ADMINS


def test_of_those_that_want_one_port_at_once_one_gets_it_and_the_others_are_told(rows):
    ranges = ["9000-9010", "9005-9015", "9010", "9001-9020", "9010-9011", "9000-9030"]  # all have 9010
    made = at_once(lambda ports: create_port_forward(Actor.system("admin"), rows.rule(ports)), ranges)
    kept = [rule for rule in made if isinstance(rule, PortForward)]
    assert len(kept) == 1
    refused = [error for error in made if isinstance(error, ValidationError)]
    assert all("ports" in error.message_dict for error in refused)
    assert len(refused) == len(ranges) - 1
    assert PortClaim.objects.count() == kept[0].last_port - kept[0].first_port + 1


def test_one_adds_while_the_other_deletes(rows):
    old = create_port_forward(Actor.system("admin"), rows.rule("9000"))
    actor = Actor.system("admin")
    at_once(
        lambda what: (
            create_port_forward(actor, rows.rule("9001")) if what else delete_port_forward(actor, old)
        ),
        [True, False],
    )
    assert [forward.first for forward in nat_of(rows.pve1).forwards] == [9001]
