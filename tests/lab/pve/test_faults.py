"""Faults do what they say, and are gone when they are taken away."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from proxmoxer import ResourceException

from lab.pve import (
    Drops,
    Fault,
    Grant,
    IdTaken,
    Lacks,
    Locked,
    PveServer,
    Refuses,
    Slow,
    TaskFails,
    Token,
    User,
    World,
)
from lab.pve.faults import Faults, from_json, to_json, write_faults
from tests.lab.pve.recordings import ANSWER_SECONDS, CHECKOUT
from tests.lab.pve.test_proxmoxer import TEMPLATE, by_token, done


@pytest.fixture
def server() -> Iterator[PveServer]:
    with PveServer(World.example()) as running:
        yield running


def create(server: PveServer, vmid: int) -> Any:
    return (
        by_token(server)
        .nodes("pve1")
        .lxc.post(vmid=vmid, ostemplate=TEMPLATE, hostname="n", rootfs="local-lvm:1", unprivileged=1)
    )


@pytest.mark.parametrize(("status", "reason"), [(595, "No route to host"), (596, "Connection timed out")])
def test_a_node_that_is_down(server: PveServer, status: int, reason: str) -> None:
    fault = server.faults.add(Refuses(path="/nodes/pve1/*", status=status, reason=reason))
    node = by_token(server).nodes("pve1")
    with pytest.raises(ResourceException) as refused:
        node.lxc.get()
    assert (refused.value.status_code, refused.value.content) == (status, reason)
    assert by_token(server).version.get()
    server.faults.remove(fault)
    assert node.lxc.get()


def test_a_server_that_hangs_goes_on_when_the_fault_ends(server: PveServer) -> None:
    fault = server.faults.add(Slow(path="*/lxc", seconds=3600))
    with pytest.raises(requests.exceptions.ReadTimeout):
        by_token(server, timeout=0.3).nodes("pve1").lxc.get()
    assert by_token(server).nodes("pve1").lxc(101).config.get()
    server.faults.remove(fault)
    assert by_token(server).nodes("pve1").lxc.get()


def test_an_answer_that_is_lost_after_the_work(server: PveServer) -> None:
    server.faults.add(Drops(method="POST", path="*/lxc", times=1, after=True))
    with pytest.raises(requests.exceptions.ConnectionError):
        create(server, 300)
    with pytest.raises(ResourceException, match="CT 300 already exists"):
        create(server, 300)


def test_an_id_that_is_taken_in_between(server: PveServer) -> None:
    server.faults.add(IdTaken(times=1))
    api = by_token(server)
    vmid = int(api.cluster.nextid.get())
    with pytest.raises(ResourceException, match=f"CT {vmid} already exists on node 'pve1'"):
        create(server, vmid)
    assert api.nodes("pve1").lxc(vmid).config.get()["hostname"] == "somebody-elses"
    assert done(api, create(server, int(api.cluster.nextid.get()))) == "OK"


@pytest.mark.parametrize("left", [True, False])
def test_a_create_that_fails_late_leaves_a_container_or_none(server: PveServer, left: bool) -> None:
    server.faults.add(
        TaskFails(type="vzcreate", message="unable to create CT 300 - no", seconds=0.1, done=left, times=1)
    )
    api = by_token(server)
    assert done(api, create(server, 300)) == "unable to create CT 300 - no"
    assert (300 in server.world.guests) is left
    assert done(api, create(server, 301)) == "OK"


def test_a_lock_holds_everything_up(server: PveServer) -> None:
    fault = server.faults.add(Locked(vmid=101))
    container = by_token(server).nodes("pve1").lxc(101)
    with pytest.raises(ResourceException, match=r"CT is locked \(backup\)"):
        container.config.put(memory=2048)
    assert done(by_token(server), container.status.stop.post()) == "CT is locked (backup)"
    assert container.status.current.get()["lock"] == "backup"
    server.faults.remove(fault)
    container.config.put(memory=2048)


def test_rights_that_are_missing_are_missing_for_all_but_root(server: PveServer) -> None:
    server.world.users["app@pve"] = User("app@pve", tokens={"t": Token("t", "s", privsep=False)})
    server.world.acl.append(Grant("/", "app@pve", "PVEAdmin"))
    api = by_token(server, user="app@pve", token_name="t", token_value="s")
    assert api.nodes("pve1").lxc(101).config.get()
    server.faults.add(Lacks(privileges=("VM.Audit",)))
    with pytest.raises(ResourceException, match=r"Permission check failed \(/vms/101, VM.Audit\)"):
        api.nodes("pve1").lxc(101).config.get()


def test_faults_are_no_part_of_the_api(server: PveServer) -> None:
    headers = {"Authorization": "PVEAPIToken=root@pam!panel=secret"}
    for path in ("/faults", "/api2/json/faults", "/api2/json/lab/faults"):
        answer = requests.post(
            server.url + path, headers=headers, verify=server.certificate_file, timeout=ANSWER_SECONDS
        )
        assert answer.status_code == 501


def test_the_command_line_serves_a_world_with_its_faults(tmp_path: Path) -> None:
    world = json.loads((CHECKOUT / "lab/worlds/recorded.json").read_text())
    world["faults"] = [
        {"kind": "Refuses", "path": "/version", "status": 596, "reason": "Connection timed out"}
    ]
    (tmp_path / "world.json").write_text(json.dumps(world))
    pem = tmp_path / "api.pem"
    argv = [sys.executable, "-m", "lab.pve", "serve", "--simulated", "--world", str(tmp_path / "world.json")]
    argv += ["--port", "0", "--certificate", str(pem)]
    with subprocess.Popen(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            node, url, fingerprint, certificate = process.stdout.readline().split()
            headers = {"Authorization": "PVEAPIToken=app@pve!full=33333333-3333-3333-3333-333333333333"}
            answers = [
                requests.get(
                    f"{url}/api2/json{path}", headers=headers, verify=certificate, timeout=ANSWER_SECONDS
                )
                for path in ("/version", f"/nodes/{node}/lxc")
            ]
        finally:
            process.terminate()
    refused, found = answers
    assert (refused.status_code, refused.reason) == (596, "Connection timed out")
    assert {item["vmid"] for item in found.json()["data"]} == {101, 102, 103, 104}
    assert certificate == str(pem)
    assert len(fingerprint) == 95


def test_faults_that_are_written_twice_at_one_time_are_seen_twice(tmp_path: Path) -> None:
    faults = Faults(tmp_path / "faults.json")
    for privilege in ("VM.Audit", "VM.Backup"):
        write_faults(tmp_path / "faults.json", [Lacks(privileges=(privilege,))])
        os.utime(tmp_path / "faults.json", ns=(1, 1))
        assert faults.lacking() == {privilege}


@pytest.mark.parametrize("fault", [Slow(seconds=1), Lacks(privileges=("VM.Audit",)), TaskFails(done=True)])
def test_a_fault_is_read_as_it_is_written(fault: Fault) -> None:
    text = json.dumps(to_json(fault))
    assert json.dumps(to_json(from_json(json.loads(text)))) == text
