"""The pages of runs and sets: as many queries for thirty rows as for three."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from backups.models import Backup, BackupRun, BackupSet, BackupSetRun, RunState, SetState
from jobs.models import Job

pytestmark = pytest.mark.django_db


def more(rows, set_: BackupSet, number: int) -> None:
    """Another source with a backup, ended runs of it, and its place in the set and in each of the set's runs."""
    source = type(rows.mail1).objects.create(name=f"more{number}", keymanager_name=f"more{number}")
    backup = Backup.objects.create(
        source=source, destination=rows.backup1, destination_folder=f"/backups/more{number}"
    )
    at = timezone.now() - timedelta(hours=number)
    job = Job.objects.create(work="backups.run", title="x", state="done")
    states = (RunState.DONE, RunState.FAILED, RunState.HELD)
    runs = [
        BackupRun.objects.create(
            backup=backup,
            state=state,
            asked_at=at,
            started_at=at,
            ended_at=at,
            levels=["hourly"],
            bytes=1,
            job=job,
        )
        for state in states
    ]
    BackupRun.objects.create(backup=backup, state=RunState.WAITING, levels=["hourly"])
    set_.members.create(backup=backup, position=number)
    set_run = BackupSetRun.objects.create(set=set_, state=SetState.FAILED, started_at=at, ended_at=at)
    for position, run in enumerate(runs):
        set_run.parts.create(backup=backup, run=run, position=position)
    other = BackupSet.objects.create(name=f"set{number}")
    other.members.create(backup=backup, position=1)
    other.runs.create(state=SetState.NOT_STARTED, words="The run before it was still on.")


def urls(set_: BackupSet) -> dict[str, str]:
    backup = Backup.objects.order_by("pk")[0]
    waiting = BackupRun.objects.get(backup=backup, state=RunState.WAITING)
    return {
        "runs": "/backups/runs/",
        "runs, searched": "/backups/runs/?q=more&state=wrong&sort=-size",
        "a backup's runs": f"/backups/{backup.pk}/runs/",
        "a run": BackupRun.objects.filter(backup=backup, state=RunState.HELD).get().get_absolute_url(),
        "a waiting run": waiting.get_absolute_url(),
        "sets": "/backups/sets/",
        "a set": set_.get_absolute_url(),
        "a set's form": f"/backups/sets/{set_.pk}/edit/",
        "dashboard": "/",
    }


@pytest.mark.parametrize("headers", [{}, {"accept": "application/json"}], ids=["html", "json"])
def test_the_pages_of_runs_and_sets_need_no_more_queries_for_more_rows(admin_client, rows, headers):
    set_ = BackupSet.objects.create(name="nightly")

    def counted() -> dict[str, int]:
        counts = {}
        for name, url in urls(set_).items():
            with CaptureQueriesContext(connection) as queries:
                answer = admin_client.get(url, headers=headers)
            assert answer.status_code == 200, name
            counts[name] = len(queries)
        return counts

    for number in range(3):
        more(rows, set_, number + 1)
    counted()  # what is read once a process
    few = counted()
    for number in range(3, 30):
        more(rows, set_, number + 1)
    assert counted() == few
    assert max(count for name, count in few.items() if name != "dashboard") <= 15
