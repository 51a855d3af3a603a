"""Behind a lab's Proxmox host the containers are real: they boot, are held to their limits, and go."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from proxmoxer import ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

from lab import Fleet, HostSpec
from lab.fleet import ensure_api
from lab.pve import Refuses
from lab.pve.real import limits
from lab.pve.real.api import LabApi
from lab.pve.real.service import is_up
from lab.pve.real.state import TEMPLATE
from lab.record import load
from lab.sweep import members
from tests.lab.test_down import NETWORK, SECOND
from tests.lab.traces import traces
from tests.lab_fixtures import LabKey
from tests.waiting import wait_for

pytestmark = pytest.mark.lab
VMID = 150
NET = "name=eth0,bridge=vmbr0,ip=10.0.0.50/24,gw=10.0.0.1"


def connect(api: LabApi) -> ProxmoxAPI:
    name, secret = api.token
    user, _, token = name.partition("!")
    return ProxmoxAPI(
        api.address,
        user=user,
        token_name=token,
        token_value=secret,
        verify_ssl=str(api.certificate_file),
        timeout=30,
    )


def done(api: ProxmoxAPI, upid: str) -> str:
    return str(Tasks.blocking_status(api, upid, timeout=120, polling_interval=0.05)["exitstatus"])


def create(api: ProxmoxAPI, node: str, vmid: int, **more: Any) -> str:
    options: dict[str, Any] = {"hostname": f"ct{vmid}", "rootfs": "local-lvm:4", "unprivileged": 1, **more}
    return done(api, api.nodes(node).lxc.post(vmid=vmid, ostemplate=TEMPLATE, **options))


@pytest.fixture(scope="module")
def lab_api(fleet: Fleet) -> LabApi:
    return LabApi.of(fleet, "pve1")


@pytest.fixture(scope="module")
def api(lab_api: LabApi) -> ProxmoxAPI:
    return connect(lab_api)


@pytest.fixture
def container(fleet: Fleet, api: ProxmoxAPI, lab_key: LabKey) -> Iterator[Any]:
    """A container made by the API, started; its sshd is forwarded, as an administrator would."""
    keys = {"ssh-public-keys": lab_key.public + "\n"}
    assert (
        create(
            api, "pve1", VMID, net0=NET, password="geheim12", memory=256, swap=128, cores=1, onboot=1, **keys
        )
        == "OK"
    )
    rule = "PREROUTING -p tcp --dport 2250 -j DNAT --to-destination 10.0.0.50:22"
    fleet["pve1"].exec(["iptables", "-w", "-t", "nat", "-A", *rule.split()])
    found = api.nodes("pve1").lxc(VMID)
    assert done(api, found.status.start.post()) == "OK"
    yield found
    done(api, found.delete(force=1))


def ssh(fleet: Fleet, key: LabKey, command: str) -> str:
    """Run a command in the container as the panel would, trusting the host key that its disk has."""
    import subprocess

    options = [
        "-F",
        "none",
        "-i",
        str(key.path),
        "-p",
        "2250",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=15",
    ]
    options += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    argv = ["ssh", *options, f"root@{fleet['pve1'].address}", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout.strip()


def pid_of(container: Any) -> int:
    return int(container.status.current.get()["pid"])


def group_file(container: Any, controller: str, one: str, two: str) -> str:
    folder = limits.folder(pid_of(container), controller)
    return (folder / (two if limits.UNIFIED else one)).read_text().strip()


def upper(fleet: Fleet) -> Path:
    return load(fleet.name).folder / "lxc" / f"{fleet.name}.pve1-ct{VMID}/disk/upper"  # type: ignore[union-attr]


def test_the_labs_own_containers_are_there(api: ProxmoxAPI) -> None:
    found = {item["vmid"]: item for item in api.nodes("pve1").lxc.get()}
    assert {vmid: found[vmid]["name"] for vmid in (101, 102)} == {101: "proxy", 102: "web1"}
    assert all(found[vmid]["status"] == "running" and found[vmid]["mem"] > 0 for vmid in (101, 102))
    web1 = api.nodes("pve1").lxc(102)
    wait_for(lambda: group_file(web1, "memory", "memory.limit_in_bytes", "memory.max") == str(1024 << 20))


def test_a_created_container_boots_and_is_reached_by_ssh(
    fleet: Fleet, lab_key: LabKey, container: Any
) -> None:
    wait_for(lambda: ssh(fleet, lab_key, "hostname") == "ct150")
    assert ssh(fleet, lab_key, "systemctl is-system-running --wait") == "running"
    assert "10.0.0.50/24" in ssh(fleet, lab_key, "ip -o -4 addr show eth0")
    assert "198.51.100" in ssh(fleet, lab_key, "ping -c1 -W10 panel")
    assert ssh(fleet, lab_key, "getent shadow root").startswith("root:$6$")
    assert {"name": "eth0", "inet": "10.0.0.50/24"}.items() <= container.interfaces.get()[1].items()


def test_limits_are_real_and_change_live(container: Any) -> None:
    def now() -> tuple[str, str]:
        memory = group_file(container, "memory", "memory.limit_in_bytes", "memory.max")
        return memory, group_file(container, "cpuset", "cpuset.cpus", "cpuset.cpus")

    assert now() == (str(256 << 20), "0")
    for memory, swap in ((512, 512), (128, 0), (256, 128)):
        container.config.put(memory=memory, swap=swap)
        assert now()[0] == str(memory << 20)
    if (os.cpu_count() or 1) > 1:
        container.config.put(cores=2)
        assert now()[1] == "0-1"


def test_memory_that_is_in_use_is_not_taken(fleet: Fleet, lab_key: LabKey, container: Any) -> None:
    wait_for(lambda: ssh(fleet, lab_key, "hostname") == "ct150")
    ssh(fleet, lab_key, "mount -t tmpfs none /mnt; head -c 60M /dev/zero > /mnt/full")
    container.config.put(swap=0)
    try:
        with pytest.raises(ResourceException) as refused:
            container.config.put(memory=16)
        assert "unable to hotplug" in str(refused.value.errors)
        assert container.config.get()["memory"] == 256
    finally:
        ssh(fleet, lab_key, "umount /mnt")


def test_a_rollback_brings_the_old_disk_back_and_a_clone_takes_it_along(
    fleet: Fleet, api: ProxmoxAPI, container: Any
) -> None:
    (upper(fleet) / "root/kept").write_text("kept")
    assert done(api, container.snapshot.post(snapname="before")) == "OK"
    (upper(fleet) / "root/kept").unlink()
    assert done(api, container.clone.post(newid=151, snapname="before", hostname="copy")) == "OK"
    assert done(api, container.snapshot("before").rollback.post()) == "OK"
    assert (upper(fleet) / "root/kept").read_text() == "kept"
    assert container.status.current.get()["status"] == "stopped"
    copy = api.nodes("pve1").lxc(151)
    copy.config.put(net0="name=eth0,bridge=vmbr0,ip=10.0.0.51/24,gw=10.0.0.1")
    assert done(api, copy.status.start.post()) == "OK"
    assert Path(f"/proc/{pid_of(copy)}/root/root/kept").read_text() == "kept"
    assert done(api, copy.status.stop.post()) == "OK"
    assert done(api, copy.delete(purge=1)) == "OK"
    assert done(api, container.status.start.post()) == "OK"


def test_reboot_and_shutdown_do_what_they_say(api: ProxmoxAPI, container: Any) -> None:
    before = pid_of(container)
    assert done(api, container.status.reboot.post()) == "OK"
    assert pid_of(container) != before
    wait_for(lambda: Path(f"/proc/{pid_of(container)}/root/run/systemd/units").exists())
    assert done(api, container.status.shutdown.post(timeout=90)) == "OK"
    assert "pid" not in container.status.current.get()
    assert done(api, container.status.start.post()) == "OK"


def test_a_node_that_stops_takes_its_containers_along_and_brings_them_back(
    fleet: Fleet, api: ProxmoxAPI, container: Any
) -> None:
    before = pid_of(container)
    fleet["pve1"].reboot()

    def back() -> bool:
        try:
            return container.status.current.get().get("pid", before) != before
        except OSError:
            return False

    wait_for(back)
    assert fleet["web1"].running


def test_a_bridge_that_is_not_there_is_seen_in_the_task(api: ProxmoxAPI) -> None:
    assert create(api, "pve1", 160, net0="name=eth0,bridge=vmbr9") == "OK"
    failed = done(api, api.nodes("pve1").lxc(160).status.start.post())
    assert failed == "bridge 'vmbr9' does not exist"
    assert done(api, api.nodes("pve1").lxc(160).delete()) == "OK"


def test_faults_reach_the_process_that_answers(lab_api: LabApi, api: ProxmoxAPI) -> None:
    lab_api.set_faults([Refuses(path="/version", status=596, reason="Connection timed out")])
    with pytest.raises(ResourceException, match="596"):
        api.version.get()
    lab_api.set_faults()
    assert api.version.get()


def test_a_killed_api_is_back_with_what_it_knew_and_its_containers_run_on(
    fleet: Fleet, api: ProxmoxAPI, container: Any
) -> None:
    before = pid_of(container)
    assert is_up(fleet.name)
    for pid in members(fleet.name, "pve_api"):
        with suppress(ProcessLookupError):  # a program of its own that has ended
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_up(fleet.name))
    ensure_api(load(fleet.name))  # type: ignore[arg-type]
    assert pid_of(container) == before
    assert any(task["type"] == "vzcreate" for task in api.nodes("pve1").tasks.get(vmid=VMID))


@pytest.mark.usefixtures("fleet")  # which skips where there can be no lab
def test_a_kept_lab_comes_back_with_the_containers_that_the_api_has_made() -> None:
    specs = (HostSpec("pve1", "proxmox"),)
    kept = Fleet.up(SECOND, NETWORK, hosts=specs, fresh=True)
    assert create(connect(LabApi.of(kept, "pve1")), "pve1", 120, net0=NET, onboot=1, start=1) == "OK"
    kept.down(keep=True)
    with Fleet.up(SECOND, hosts=()) as again:
        container = connect(LabApi.of(again, "pve1")).nodes("pve1").lxc(120)
        wait_for(lambda: container.status.current.get()["status"] == "running")
    assert traces(SECOND) == []


@pytest.mark.usefixtures("fleet")  # which skips where there can be no lab
def test_a_second_node_is_of_the_same_cluster_and_down_leaves_nothing() -> None:
    specs = (HostSpec("pve1", "proxmox"), HostSpec("pve2", "proxmox"))
    with Fleet.up(SECOND, NETWORK, hosts=specs, fresh=True) as second:
        api = connect(LabApi.of(second, "pve2"))
        assert create(api, "pve2", 120, net0=NET, onboot=1, start=1) == "OK"
        found = connect(LabApi.of(second, "pve1")).cluster.resources.get(type="vm")
        assert [(item["node"], item["vmid"]) for item in found] == [("pve2", 120)]
        second["pve2"].stop()
        with pytest.raises(ResourceException, match="595"):
            wait_for(lambda: not connect(LabApi.of(second, "pve1")).nodes("pve2").lxc.get())
    assert traces(SECOND) == []
