"""To replace what lies on a server and is not ours is the word of a person who may say so when it is done."""

import pytest

from accounts.actors import Actor
from accounts.models import User
from servers import rollouts, services
from servers.models import Rollout, RolloutState
from tests.servers.conftest import work_off

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def asked(make_reached, motd, actor):
    """A server with a foreign file, which its owner has said to adopt."""
    server, machine = make_reached("a.example.org", notes="hello")
    machine.host.write("/etc/motd", b"debian\n")
    rollouts.ask(actor, server, ["motd"], "on")
    work_off()
    owner = User.objects.create_user("olu", "correct horse battery")
    server.owners.add(owner)
    services.adopt(Actor(owner, "olu"), Rollout.objects.get(), ["/etc/motd"])
    return server, machine, owner


def ends(machine, state: RolloutState, content: bytes) -> None:
    work_off()
    assert (Rollout.objects.get().state, machine.host.read("/etc/motd")) == (state, content)


def test_an_owner_adopts(asked):
    ends(asked[1], RolloutState.IN_SYNC, b"hello\n")


@pytest.mark.parametrize("how", ["server", "account", "deleted"])
def test_nothing_is_adopted_for_who_may_no_longer_say_so(asked, how):
    server, machine, owner = asked
    if how == "server":
        server.owners.remove(owner)
    elif how == "account":
        User.objects.filter(pk=owner.pk).update(is_active=False)
    else:
        owner.delete()
    ends(machine, RolloutState.FAILED, b"debian\n")


def test_an_adoption_does_not_pass_to_who_asks_next(asked, admin):
    server, machine, _owner = asked
    rollouts.ask(Actor(admin, "ada"), server, ["motd"], "something else")
    assert Rollout.objects.get().adopt == []
    ends(machine, RolloutState.FAILED, b"debian\n")


@pytest.mark.parametrize(
    ("said", "status", "by"),
    [
        ({"path": ["/etc/motd"]}, 422, {"path", "paths"}),
        ({"paths": []}, 422, {"paths"}),
        ({"paths": ["/etc/passwd"]}, 409, {"__all__"}),  # not what lay there when somebody looked
        ({"paths": ["/etc/motd"]}, 200, set()),
    ],
)
def test_what_a_program_says_wrong_is_not_called_a_change_on_the_server(
    asked, admin_client, said, status, by
):
    url = f"{Rollout.objects.get().get_absolute_url()}adopt/"
    answer = admin_client.post(url, said, "application/json", headers={"accept": "application/json"})
    assert (answer.status_code, set(answer.json().get("errors", ()))) == (status, by)
