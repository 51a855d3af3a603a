"""What an undo of “New server” makes of passwords that SSH was to take none of."""

from typing import Any

import pytest

from accounts.actors import Actor
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from keymanager.models import KeysOnly
from servers.models import Server
from wizards.create_vm import task_passwords
from wizards.declare import TaskRun

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("facts", "goes"),
    [({"refused": True, "had": False}, True), ({"refused": True, "had": True}, False), ({}, False)],
    ids=["not before", "before", "before, and the run ended before it asked"],
)
def test_a_server_that_refused_them_before_the_wizard_goes_on_doing_so(facts, goes):
    server = Server.objects.create(name="shop", keymanager_name="shop")
    KeysOnly.objects.create(server=server)
    results: dict[str, Any] = {
        "server": {"server": server.pk, "made": False},
        "container": {"creation": 1, "vmid": 101},
        "passwords": facts,
    }
    task = TaskRun(
        actor=Actor.system("test"),
        steps=[{"name": "shop", "host": server.pk, "make_container": True, "refuse_passwords": True}],
        facts=facts,
        results=results,
        run=Run(Job(), Masker()),
        keep=facts.update,
    )
    assert ("any more" in task_passwords.undo_says(task.data, results)) == goes
    assert task_passwords.undo(task) is None
    assert KeysOnly.objects.exists() != goes
