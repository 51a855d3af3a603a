"""A worker that dies while Proxmox creates: the next one reads what is there, and makes no second container."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.upkeep import reap
from proxmox.models import Creation
from tests.jobs.processes import worker
from tests.proxmox.creating import ask, guests_named, simulated
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.mark.parametrize("killed", [False, True], ids=["told to end", "killed"])
def test_a_create_outlives_its_worker(tmp_path: Path, killed: bool) -> None:
    log = tmp_path / "worker.log"
    with simulated() as (pve, host):
        pve.world.durations["vzcreate"] = 6
        creation = ask(host, start=False)
        with worker(log) as process:
            wait_for(lambda: Creation.objects.exclude(create_upid="").exists(), 60, log)
            if killed:
                process.kill()
                process.wait()
        if killed:
            Job.objects.filter(state="running").update(heartbeat_at=timezone.now() - timedelta(minutes=5))
            reap()
        with worker(log):
            wait_for(lambda: Creation.objects.filter(state__in=["done", "failed"]).exists(), 90, log)
        creation.refresh_from_db()
        assert (creation.state, creation.why) == ("done", "")
        assert guests_named(pve) == [creation.vmid]
        assert len(pve.cluster.tasks.all()) == 1  # asked once
