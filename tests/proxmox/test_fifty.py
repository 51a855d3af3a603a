"""Fifty creates at once on two workers: real processes, one Proxmox, which hands out ids and reserves none."""

from pathlib import Path

import pytest

from jobs.models import Job
from proxmox.models import AddressClaim, Creation
from servers.models import Server
from tests.jobs.processes import worker
from tests.proxmox.creating import address_in, ask, simulated
from tests.waiting import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]
MANY = 50


def test_fifty_creates_at_once_give_fifty_containers_ids_and_addresses(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with simulated() as (pve, host):
        pve.world.durations["vzcreate"] = 0.5
        before = set(pve.world.guests)
        for number in range(MANY):
            ask(host, f"c{number:02}.example.org", start=False)
        with worker(log), worker(log):
            jobs = Job.objects.filter(work="proxmox.create")
            wait_for(lambda: not jobs.filter(state__in=["waiting", "running"]).exists(), 240, log)
            workers = set(jobs.values_list("worker", flat=True))
        made = {vmid: guest for vmid, guest in pve.world.guests.items() if vmid not in before}

    bad = Creation.objects.exclude(state="done").values_list("hostname", "state", "why")
    assert not bad, (list(bad), log.read_text()[-6000:])
    assert len(workers) == 2
    assert len(made) == MANY
    names = {guest.config["hostname"] for guest in made.values()}
    assert names == {f"c{number:02}.example.org" for number in range(MANY)}
    addresses = {address_in(guest) for guest in made.values()}
    assert len(addresses) == MANY
    assert dict(Creation.objects.values_list("vmid", "address")) == {
        vmid: address_in(guest) for vmid, guest in made.items()
    }
    assert set(Server.objects.filter(vm_host=host).values_list("internal_ip", flat=True)) == addresses
    assert not AddressClaim.objects.exists()
