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


@pytest.mark.parametrize("had", [False, True])
def test_a_server_that_refused_them_before_the_wizard_goes_on_doing_so(had):
    server = Server.objects.create(name="shop", keymanager_name="shop")
    KeysOnly.objects.create(server=server)
    facts: dict[str, Any] = {"refused": True, "had": had}
    results: dict[str, Any] = {"server": {"server": server.pk, "made": False}, "passwords": facts}
    task = TaskRun(
        actor=Actor.system("test"),
        steps=[{"name": "shop", "make_container": True, "refuse_passwords": True}],
        facts=facts,
        results=results,
        run=Run(Job(), Masker()),
        keep=facts.update,
    )
    assert ("as it was before" in task_passwords.undo_says(task.data, results)) == had
    assert task_passwords.undo(task) is None
    assert KeysOnly.objects.exists() == had
