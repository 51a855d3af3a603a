"""What is done with guests, on a lab's real containers: limits move, they stop, they go."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.models import Job, JobState
from lab import Fleet
from lab.pve import Fault, Locked, Refuses, TaskFails
from lab.pve.real import limits
from lab.pve.real.api import LabApi
from lab.pve.real.state import TEMPLATE
from proxmox.client import open_api
from proxmox.guests import GuestRef
from proxmox.models import ProxmoxAccess
from proxmox.services import access
from proxmox.services import guests as services
from servers.models import Server
from tests.proxmox.panel_side import ACTOR, carry_out, lines
from tests.waiting import wait_for

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
VMID = 170
NET = "name=eth0,bridge=vmbr0,ip=10.0.0.70/24,gw=10.0.0.1"


@pytest.fixture
def lab_api(fleet: Fleet) -> Iterator[LabApi]:
    api = LabApi.of(fleet, "pve1")
    yield api
    api.set_faults()


@pytest.fixture
def host(lab_api: LabApi) -> Server:
    """The lab's pve1 in the inventory, reached with the lab's least-rights token."""
    server = Server.objects.create(
        name="pve1",
        keymanager_name="pve1",
        is_proxmox=True,
        proxmox_node="pve1",
        external_interface="eth0",
        external_ip=lab_api.address,
    )
    who, secret = lab_api.token
    ProxmoxAccess.objects.create(server=server, user=who, secret=secret)
    assert "nobody has accepted" in lines(carry_out(access.try_access(ACTOR, server)))
    access.accept_certificate(ACTOR, server, lab_api.fingerprint)
    return server


@pytest.fixture
def guest(host: Server) -> Iterator[GuestRef]:
    """A container that runs, made without the panel's create."""
    with open_api(host) as api:
        options = {"hostname": "ct170", "rootfs": "local-lvm:4", "unprivileged": 1, "net0": NET}
        ended(api, api.create_container(VMID, {**options, "ostemplate": TEMPLATE, "memory": 256, "cores": 1}))
        ended(api, api.power("lxc", VMID, "start"))
        yield GuestRef(host, "lxc", VMID, "ct170")
        left = [one for one in api.guests("lxc") if one.vmid == VMID]
        if left and left[0].runs:
            ended(api, api.power("lxc", VMID, "stop"))
        if left:
            ended(api, api.destroy("lxc", VMID))


def ended(api, upid: str) -> None:
    wait_for(lambda: api.task(upid).ended, 60)
    assert api.task(upid).went_well, api.task(upid)


def pid_of(guest: GuestRef) -> int:
    with open_api(guest.host) as api:
        return int(api.get("nodes", "pve1", "lxc", str(VMID), "status", "current")["pid"])


def memory_limit(pid: int) -> int:
    name = "memory.max" if limits.UNIFIED else "memory.limit_in_bytes"
    return int((limits.folder(pid, "memory") / name).read_text())


def change(guest: GuestRef, **changes: object) -> Job:
    return carry_out(services.change_guest(ACTOR, guest, changes))


def test_memory_changes_live_and_the_real_limit_moves(guest: GuestRef) -> None:
    pid = pid_of(guest)
    assert memory_limit(pid) == 256 << 20
    assert change(guest, memory=512, swap=256).state == JobState.DONE
    assert memory_limit(pid) == 512 << 20
    assert pid_of(guest) == pid
    job = change(guest, nameserver="9.9.9.9")
    assert "waits for the next start" in lines(job)


def test_it_reboots_shuts_down_starts_stops_and_goes(guest: GuestRef) -> None:
    def operate(action: str) -> Job:
        job = carry_out(services.operate_guest(ACTOR, guest, action))
        assert job.state == JobState.DONE, job.error
        return job

    before = pid_of(guest)
    operate("reboot")
    pid = pid_of(guest)
    assert pid != before
    wait_for(lambda: Path(f"/proc/{pid}/root/run/systemd/units").exists(), 60)
    operate("shutdown")
    assert not Path(f"/proc/{pid}").exists()
    operate("start")
    pid = pid_of(guest)
    refused = carry_out(services.destroy_guest(ACTOR, guest, "ct170"))
    assert (refused.state, Path(f"/proc/{pid}").exists()) == (JobState.FAILED, True)
    gone = carry_out(services.destroy_guest(ACTOR, guest, "ct170", stop_first=True))
    assert gone.state == JobState.DONE, gone.error
    assert not Path(f"/proc/{pid}").exists()
    with open_api(guest.host) as api:
        assert VMID not in [one.vmid for one in api.guests()]


FAULTS = [
    Refuses(method="POST", times=1, status=596, reason="Connection timed out"),
    Refuses(method="POST", times=1, status=595, after=True),
    TaskFails(type="vzstop", times=1, message="command 'lxc-stop' failed: exit code 1"),
    Locked(vmid=VMID),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_every_fault_ends_in_a_clear_state_and_a_second_try_succeeds(
    guest: GuestRef, lab_api: LabApi, fault: Fault
) -> None:
    pid = pid_of(guest)
    lab_api.set_faults([fault])
    job = carry_out(services.operate_guest(ACTOR, guest, "stop"))
    lab_api.set_faults()
    if job.state == JobState.FAILED:
        assert job.error
        assert Path(f"/proc/{pid}").exists()
    again = carry_out(services.operate_guest(ACTOR, guest, "stop"))
    assert again.state == JobState.DONE, again.error
    assert not Path(f"/proc/{pid}").exists()


def test_a_node_that_is_off_is_told_as_unreachable_and_back_it_works(fleet: Fleet, guest: GuestRef) -> None:
    assert change(guest, onboot=1).state == JobState.DONE
    fleet["pve1"].stop()
    try:
        job = carry_out(services.operate_guest(ACTOR, guest, "stop"))
        assert job.state == JobState.FAILED
        assert "cannot be reached" in job.error
    finally:
        fleet["pve1"].start()
    wait_for(lambda: carry_out(access.try_access(ACTOR, guest.host)).state == JobState.DONE, 60)
    assert carry_out(services.operate_guest(ACTOR, guest, "stop")).state == JobState.DONE
