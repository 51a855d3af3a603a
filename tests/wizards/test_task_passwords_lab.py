"""create_vm's task Passwords on a host whose sshd cannot be told: it says so, and is switched off when resumed."""

from typing import Any

import pytest

from accounts.actors import Actor
from jobs.masking import Masker
from jobs.models import Job
from jobs.run import Run
from keymanager.desired_passwords import KIND
from keymanager.models import KeysOnly
from servers.models import Rollout
from tests.jobs.working import work_off
from tests.keymanager.test_passwords_lab import INCLUDE, by_password, edit, host, server  # noqa: F401 - fixtures
from wizards.create_vm import task_passwords
from wizards.declare import Refused, TaskRun

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]


def test_it_says_what_is_missing_and_is_taken_back_when_it_is_not_wanted_any_more(host, server) -> None:  # noqa: F811
    facts: dict[str, Any] = {}

    def call(**more: Any) -> Any:
        run = Run(Job.objects.create(work="wizards.carry_on", title="x", state="running"), Masker())
        data = {"name": server.name, "make_container": True, "refuse_passwords": True, **more}
        results = {"server": {"server": server.pk}}
        task = TaskRun(
            actor=Actor.system("test"),
            steps=[data],
            facts=dict(facts),
            results=results,
            run=run,
            keep=facts.update,
        )
        later = task_passwords.do(task)
        work_off()
        return later

    edit(host, INCLUDE)
    assert call() is not None
    with pytest.raises(Refused, match="has no Include for it"):
        call()
    while call(refuse_passwords=False):
        pass
    assert not KeysOnly.objects.exists()
    assert Rollout.objects.get(server=server, kind=KIND).state == "in_sync"
    assert by_password(host, "dora")
