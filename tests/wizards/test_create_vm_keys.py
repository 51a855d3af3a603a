"""When create_vm's new server counts as one that has its keys."""

import pytest
from django.utils import timezone

from accounts.actors import Actor
from jobs.masking import Masker
from jobs.models import Job, JobState
from jobs.run import Run
from keymanager.answers import contents
from keymanager.desired import KIND
from keymanager.models import FetchReport, FetchToken
from keymanager.tokens import give_token
from proxmox.looking import look_at
from servers.models import Rollout, RolloutState
from tests.keymanager.fetchers import fetching_server
from tests.wizards.create_vm_walking import begun, container_there
from wizards.create_vm import task_container, task_server, task_setup
from wizards.declare import Later, Refused, TaskRun

pytestmark = pytest.mark.django_db
CONTAINER = {"container": {"creation": 1, "vmid": 101}}
NOTES = ("no-user: deploy is not a user here", "clock: it is 700 seconds off the panel's")


def keys_of_new_server(problem: str, **facts: object) -> Later | None:
    """Call the task of a server whose fetch ended with these words."""
    return task_setup.do_keys(task_of(problem, **facts))


def task_of(problem: str, **facts: object) -> TaskRun:
    """The task of such a server."""
    server, _token = fetching_server("shop.example.org", "root", "deploy")
    Rollout.objects.create(server=server, kind=KIND, state=RolloutState.IN_SYNC)
    FetchReport.objects.create(
        server=server, fetched_at=timezone.now(), status=200, problem=problem,
        holds=contents({server.keymanager_name})[server.keymanager_name].etag,
    )  # fmt: skip
    job = Job.objects.create(work="wizards.carry_on", title="x", actor_name="test")
    return TaskRun(
        actor=Actor.system("test"),
        steps=[{"name": server.name, "host": server.pk, "make_container": True}],
        facts={"server": server.pk, "had_token": True, **facts},
        results=dict(CONTAINER),
        run=Run(job, Masker()),
        keep=lambda _facts: None,
    )


@pytest.mark.parametrize("note", ["", *NOTES])
def test_a_note_of_a_fetch_that_went_well_does_not_fail_the_run(note) -> None:
    """Of the unix users that were asked for, one is not in the container: the run failed, however often resumed."""
    assert keys_of_new_server(note) is None


def test_a_fetch_that_failed_is_tried_once_more_and_told() -> None:
    assert isinstance(keys_of_new_server("write: deploy: home cannot be entered"), Later)


def test_a_fetch_that_failed_again_is_told() -> None:
    fetched = Job.objects.create(work="keymanager.fetch", title="x", actor_name="test", state=JobState.DONE)
    with pytest.raises(Refused):
        keys_of_new_server("write: deploy: home cannot be entered", fetch=fetched.pk)


def test_an_undo_leaves_nothing_of_the_fetching_of_a_container_whose_server_was_there_before() -> None:
    """The server stays: it was “in sync” and fetching, and its fetches were missed from then on."""
    assert task_setup.undo_keys(task_of("", had_token=False)) is None
    assert not FetchToken.objects.exists()
    assert not FetchReport.objects.exists()
    assert not Rollout.objects.exists()


def test_an_undo_leaves_the_fetching_of_a_server_that_did_so_before() -> None:
    task = task_of("")
    assert "as it was before" in task_setup.undo_says_keys(task.data, {**CONTAINER, "keys": task.facts})
    assert "fetches no keys" in task_setup.undo_says_keys(
        task.data, {**CONTAINER, "keys": {"had_token": False}}
    )
    assert task_setup.undo_keys(task) is None
    assert FetchToken.objects.exists()
    assert FetchReport.objects.exists()
    assert Rollout.objects.exists()


@pytest.mark.parametrize(("before", "went"), [(False, True), (True, True), (False, False)])
def test_an_undo_forgets_the_fetching_that_a_script_has_set_up_in_which_the_run_ended(before, went) -> None:
    """The task of the keys was never begun: the server went on “in sync” and fetching, with no container.

    Where none of the run went with it, a machine that somebody made by hand fetches: who left is there still.
    """
    with begun(there=True) as (_pve, walk):
        give_token(Actor.system("test"), walk.server)
        walk.results["server"]["fetched"] |= before
        walk.results["container"] = {"destroyed": went}
        walk.call("server", task_server.undo)
        assert FetchToken.objects.exists() == (before or not went)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("there", [False, True])
def test_the_fetching_that_the_wizards_own_script_has_set_up_was_not_there_before(there) -> None:
    """The undo said “as it was before”, and left a server that was in the inventory fetching, in no container."""
    with begun(there=there) as (pve, walk):
        container_there(pve, walk)
        give_token(Actor.system("test"), walk.server)  # as for server.setup
        walk.call("keys", task_setup.do_keys)
        assert "fetches no keys" in task_setup.undo_says_keys(walk.data, walk.results)
        walk.call("keys", task_setup.undo_keys)
        assert not FetchToken.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_undo_leaves_the_fetching_of_a_machine_that_was_made_by_hand_where_its_container_was() -> None:
    """Who had left was “gone” by it, and the machine went on letting them in."""
    with begun(there=True) as (pve, walk):
        row = container_there(pve, walk)
        look_at({walk.host.pk})
        walk.call("keys", task_setup.do_keys)
        pve.world.guests.pop(row.vmid)
        look_at({walk.host.pk}, vmid=row.vmid)
        assert "stays as it is" in task_setup.undo_says_keys(walk.data, walk.results)
        walk.call("keys", task_setup.undo_keys)
        walk.until_done("container", task_container.undo)
        walk.until_done("server", task_server.undo)
        assert FetchToken.objects.exists()
