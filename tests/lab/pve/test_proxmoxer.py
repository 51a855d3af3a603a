"""The real proxmoxer gets from our server what it gets from Proxmox."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from proxmoxer import AuthenticationError, ProxmoxAPI, ResourceException
from proxmoxer.tools import Tasks

from lab.pve import Grant, Guest, Node, PveServer, Slow, World
from tests.lab.pve.recordings import ANSWER_SECONDS
from tests.waiting import wait_for

TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"


@pytest.fixture
def server() -> Iterator[PveServer]:
    with PveServer(World.example()) as running:
        yield running


def by_token(server: PveServer, **more: Any) -> ProxmoxAPI:
    options = {
        "user": "root@pam",
        "token_name": "panel",
        "token_value": "secret",
        "timeout": ANSWER_SECONDS,
        **more,
    }
    return ProxmoxAPI("127.0.0.1", port=server.port, verify_ssl=server.certificate_file, **options)


def by_password(server: PveServer, **more: Any) -> ProxmoxAPI:
    options = {"user": "root@pam", "password": "secret", "timeout": ANSWER_SECONDS, **more}
    return ProxmoxAPI("127.0.0.1", port=server.port, verify_ssl=server.certificate_file, **options)


def done(api: ProxmoxAPI, upid: str) -> str:
    return str(Tasks.blocking_status(api, upid, timeout=60, polling_interval=0.02)["exitstatus"])


def test_a_token_and_a_password_let_in(server: PveServer) -> None:
    assert by_token(server).version.get()["release"] == "9.2"
    api = by_password(server)
    assert done(api, api.nodes("pve1").lxc(101).status.stop.post()) == "OK"


def test_a_wrong_password_and_a_wrong_token_do_not(server: PveServer) -> None:
    with pytest.raises(AuthenticationError, match="401"):
        by_password(server, password="wrong")
    with pytest.raises(ResourceException) as refused:
        by_token(server, token_value="wrong").version.get()
    assert (refused.value.status_code, refused.value.content) == (401, "Authentication failed!")


def test_a_ticket_without_its_csrf_token_may_only_read(server: PveServer) -> None:
    ticket, csrf = server.cluster.access.login("root@pam", "secret")
    options: dict[str, Any] = {"cookies": {"PVEAuthCookie": ticket}, "verify": server.certificate_file}
    where = f"{server.url}/api2/json/nodes/pve1/lxc/101/status/stop"
    assert (
        requests.get(f"{server.url}/api2/json/version", timeout=ANSWER_SECONDS, **options).status_code == 200
    )
    assert (
        requests.post(where, timeout=ANSWER_SECONDS, **options).reason
        == "Permission denied - invalid csrf token"
    )
    assert (
        requests.post(
            where, headers={"CSRFPreventionToken": csrf}, timeout=ANSWER_SECONDS, **options
        ).status_code
        == 200
    )


def test_a_certificate_that_is_not_pinned_is_refused(server: PveServer) -> None:
    with pytest.raises(requests.exceptions.SSLError), requests.Session() as session:
        session.get(f"{server.url}/api2/json/version")
    assert server.fingerprint.count(":") == 31


def test_the_message_is_the_reason_phrase(server: PveServer) -> None:
    with pytest.raises(ResourceException) as refused:
        by_token(server).nodes("pve1").lxc(999).config.get()
    assert refused.value.status_code == 500
    assert refused.value.content == "Configuration file 'nodes/pve1/lxc/999.conf' does not exist"


def test_true_is_refused_one_is_accepted_and_none_is_dropped(server: PveServer) -> None:
    config = by_token(server).nodes("pve1").lxc(101).config
    with pytest.raises(ResourceException) as refused:
        config.put(onboot=True)
    assert refused.value.errors == {"onboot": "type check ('boolean') failed - got 'True'"}
    config.put(onboot=1, description=None)
    assert "description" not in config.get()
    with pytest.raises(ResourceException, match="no options specified"):
        config.put(description=None)


def test_a_client_that_gives_up_has_perhaps_changed_something(server: PveServer) -> None:
    server.faults.add(Slow(method="PUT", seconds=60, after=True))
    impatient = by_token(server, timeout=(ANSWER_SECONDS, 0.5))  # to connect, and for an answer
    with pytest.raises(requests.exceptions.ReadTimeout):
        impatient.nodes("pve1").lxc(101).config.put(memory=2048)
    config = by_token(server).nodes("pve1").lxc(101).config
    wait_for(lambda: config.get()["memory"] == 2048, name="the change that nobody heard of")
    server.faults.clear()


def test_a_container_is_created_started_changed_snapshot_cloned_and_destroyed(server: PveServer) -> None:
    server.world.lock_timeout = 60.0
    api = by_token(server)
    node = api.nodes("pve1")
    vmid = int(api.cluster.nextid.get())
    net = "name=eth0,bridge=vmbr0,ip=10.0.0.9/24,gw=10.0.0.1"
    with server.cluster.hold(vmid):  # it is not made before we have seen it in the making
        created = node.lxc.post(
            vmid=vmid,
            ostemplate=TEMPLATE,
            hostname="fresh",
            rootfs="local-lvm:4",
            net0=net,
            unprivileged=1,
            start=1,
        )
        assert node.lxc(vmid).config.get().keys() == {"lock", "digest"}
    assert done(api, created) == "OK"
    server.cluster.tasks.wait_all()
    container = node.lxc(vmid)
    assert container.status.current.get()["status"] == "running"
    assert ",ip=10.0.0.9/24,type=veth" in container.config.get()["net0"]
    assert done(api, container.snapshot.post(snapname="before")) == "OK"
    container.config.put(memory=2048)
    assert done(api, container.snapshot("before").rollback.post()) == "OK"
    assert "memory" not in container.config.get()
    assert done(api, container.clone.post(newid=500, snapname="before")) == "OK"
    assert done(api, container.delete(purge=1)) == "OK"
    assert sorted(item["vmid"] for item in node.lxc.get()) == [101, 102, 103, 500]


def test_of_two_creates_with_one_id_one_is_refused(server: PveServer) -> None:
    server.world.durations = {"vzcreate": 0.2}

    def create(number: int) -> str:
        try:
            return str(
                by_token(server)
                .nodes("pve1")
                .lxc.post(
                    vmid=300, ostemplate=TEMPLATE, hostname=f"n{number}", rootfs="local-lvm:1", unprivileged=1
                )
            )
        except ResourceException as error:
            return error.content

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(8)))
    assert sorted(answers)[:7] == ["CT 300 already exists on node 'pve1'"] * 7


def test_fifty_creates_at_once_make_fifty_containers(server: PveServer) -> None:
    server.world.durations = {"vzcreate": 0.1}

    def create(number: int) -> str:
        api = by_token(server)
        upid = api.nodes("pve1").lxc.post(
            vmid=600 + number,
            ostemplate=TEMPLATE,
            hostname=f"n{number}",
            rootfs="local-lvm:1",
            unprivileged=1,
        )
        return done(api, upid)

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(create, range(50))) == {"OK"}
    assert len(server.world.guests) == 53


def test_a_change_waits_for_another_on_the_same_container_and_then_gives_up(server: PveServer) -> None:
    server.world.durations, server.world.lock_timeout = {"vzstop": 3600}, 0.1
    api = by_token(server)
    container = api.nodes("pve1").lxc(101)
    stopping = container.status.stop.post()

    def refusal() -> str:
        try:
            container.config.put(memory=2048)
        except ResourceException as error:
            return error.content
        return ""  # the task has not begun

    assert re.fullmatch(r"can't lock file .*pve-config-101\.lock' - got timeout", wait_for(refusal))
    api.nodes("pve1").tasks(stopping).delete()
    assert done(api, stopping) == "received interrupt"
    container.config.put(memory=4096)
    assert container.config.get()["memory"] == 4096


def test_two_nodes_of_a_cluster_answer_for_each_other(server: PveServer) -> None:
    server.world.nodes["pve2"] = Node("pve2")
    server.world.guests[200] = Guest(
        200, "pve2", config={"hostname": "other", "rootfs": "local-lvm:x,size=1G"}
    )
    with PveServer(cluster=server.cluster, node="pve2") as second:
        for api in (by_token(server), by_token(second)):
            assert [item["name"] for item in api.nodes("pve2").lxc.get()] == ["other"]
            assert {item["node"] for item in api.cluster.resources.get(type="vm")} == {"pve1", "pve2"}
        local = {
            item["name"]: item["local"] for item in by_token(second).cluster.status.get() if "local" in item
        }
        assert local == {"pve1": 0, "pve2": 1}


@pytest.mark.parametrize(
    ("version", "kind", "message"), [("7.4-17", str, False), ("8.4.1", int, False), ("9.1.2", int, True)]
)
def test_versions_differ(version: str, kind: type, message: bool) -> None:
    with PveServer(World.example(version=version)) as server:
        api = by_token(server)
        assert isinstance(api.nodes("pve1").lxc.get()[0]["vmid"], kind)
        headers = {"Authorization": "PVEAPIToken=root@pam!panel=secret"}
        url = f"{server.url}/api2/json/nodes/pve1/lxc/999/config"
        answer = requests.get(url, headers=headers, verify=server.certificate_file, timeout=ANSWER_SECONDS)
        assert ("message" in answer.json()) is message


def test_a_token_of_its_own_has_no_more_rights_than_it_is_given(server: PveServer) -> None:
    root = by_token(server)
    root.access.users.post(userid="app@pve", password="secret12")
    root.access.roles.post(roleid="Reader", privs="VM.Audit")
    root.access.acl.put(path="/", users="app@pve", roles="Reader")
    made = root.access.users("app@pve").token("sep").post(privsep=1)
    api = by_token(server, user="app@pve", token_name="sep", token_value=made["value"])
    assert api.nodes("pve1").lxc.get() == []
    root.access.acl.put(path="/vms/102", tokens="app@pve!sep", roles="Reader")
    assert [item["vmid"] for item in api.nodes("pve1").lxc.get()] == [102]
    assert api.access.permissions.get() == {"/vms/102": {"VM.Audit": 1}}
    server.world.acl.append(Grant("/vms/102", "app@pve", "NoAccess"))
    assert api.nodes("pve1").lxc.get() == []


def test_twenty_hosts_with_a_hundred_containers_each_list_them_all() -> None:
    servers = [PveServer(World.example(100)) for _ in range(20)]
    for server in servers:
        server.__enter__()
    with ThreadPoolExecutor(20) as pool:
        lists = list(pool.map(lambda server: by_token(server).nodes("pve1").lxc.get(), servers))
    for server in servers:
        server.__exit__(None, None, None)
    assert [len(found) for found in lists] == [100] * 20


def test_an_unknown_format_has_no_formatter_for_whom_is_let_in(server: PveServer) -> None:
    token = {"Authorization": "PVEAPIToken=root@pam!panel=secret"}
    for path, words in (("/api2/xml/version", "/version, xml"), ("/api2/yaml", "/, yaml")):
        asked = f"{server.url}{path}"
        answer = requests.get(asked, timeout=ANSWER_SECONDS, verify=server.certificate_file, headers=token)
        said = f"no formatter for uri {words}"
        assert (answer.status_code, answer.reason, answer.text) == (501, said, said)
        answer = requests.get(asked, timeout=ANSWER_SECONDS, verify=server.certificate_file)
        assert (answer.status_code, answer.reason, answer.text) == (401, "No ticket", "")


def test_what_cannot_be_is_refused_at_once_in_proxmoxs_words(server: PveServer) -> None:
    api = by_token(server)
    node = api.nodes("pve1")
    made = {"vmid": 150, "rootfs": "local-lvm:4", "memory": 64}
    for act, words in (
        (
            lambda: node.lxc.post(ostemplate="nowhere:vztmpl/x.tar.zst", **made),
            "storage 'nowhere' does not exist",
        ),
        (lambda: node.lxc(101).config.put(delete="ostype"), "unable to delete required option 'ostype'"),
        (
            lambda: node.lxc(101).config.put(delete="unprivileged"),
            "unable to delete read-only option: 'unprivileged'",
        ),
        (
            lambda: node.lxc(101).clone.post(newid=102, snapname="none"),
            "CT 102 already exists on node 'pve1'",
        ),
        (lambda: node.lxc(101).resize.put(disk="mp7", size="9G"), "format error"),
        (node.lxc(101).status.start.post, "CT 101 already running"),
    ):
        with pytest.raises(ResourceException) as refused:
            act()
        assert (refused.value.status_code, refused.value.content) == (500, words)
    assert done(api, node.lxc(101).status.stop.post()) == "OK"
    assert node.lxc(101).interfaces.get() is None


def test_root_alone_binds_a_folder_of_the_node(server: PveServer) -> None:
    api = by_password(server)
    node = api.nodes("pve1")
    upid = node.lxc.post(vmid=150, ostemplate=TEMPLATE, rootfs="local-lvm:4", mp0="/srv/data,mp=/data")
    assert done(api, upid) == "OK"
    assert node.lxc(150).config.get()["mp0"] == "/srv/data,mp=/data"
    with pytest.raises(ResourceException, match="only allowed for root@pam"):
        by_token(server).nodes("pve1").lxc.post(
            vmid=151, ostemplate=TEMPLATE, rootfs="local-lvm:4", mp0="/srv/data,mp=/data"
        )


def test_a_container_that_is_missed_while_it_is_destroyed_is_destroyed_all_the_same(
    server: PveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the end of its host and that of the task, whoever asks sees that the host is gone, and forgets it."""
    api = by_token(server)
    node = api.nodes("pve1")
    assert done(api, node.lxc(101).status.stop.post()) == "OK"
    guests = server.cluster.world.guests
    monkeypatch.setattr(server.cluster.hypervisor, "destroy", lambda guest, _task: guests.pop(guest.vmid))
    assert done(api, node.lxc(101).delete()) == "OK"
    assert 101 not in [item["vmid"] for item in node.lxc.get()]


def test_a_template_neither_starts_nor_has_snapshots_and_becomes_none_twice(server: PveServer) -> None:
    api = by_token(server)
    container = api.nodes("pve1").lxc(101)
    with pytest.raises(ResourceException, match="you can't convert a CT to template if the CT is running"):
        container.template.post()
    assert done(api, container.status.stop.post()) == "OK"
    assert container.template.post() is None
    server.cluster.tasks.wait_all()
    assert server.cluster.tasks.all()[0].type == "vztemplate"
    with pytest.raises(ResourceException, match="you can't convert a template to a template"):
        container.template.post()
    assert done(api, container.status.start.post()) == "you can't start a CT if it's a template"
    assert (
        done(api, container.snapshot.post(snapname="one")) == "you can't take a snapshot if it's a template"
    )
    assert done(api, container.snapshot("one").rollback.post()) == "you can't rollback if vm is a template"
    assert done(api, api.nodes("pve1").lxc(101).clone.post(newid=150)) == "OK"


def test_below_a_container_is_what_proxmox_lists_there(server: PveServer) -> None:
    node = by_token(server).nodes("pve1")
    assert {"subdir": "interfaces"} in node.lxc(101).get()
    assert [one["subdir"] for one in node.lxc(101).status.get()][:3] == ["current", "start", "stop"]
    assert node.lxc(101).snapshot("nope").get() == [{"cmd": "rollback"}, {"cmd": "config"}]
    assert node.lxc(101).snapshot("nope").config.put() is None
    with pytest.raises(ResourceException, match=r"999\.conf' does not exist"):
        node.lxc(999).get()


def test_no_container_is_frozen(server: PveServer) -> None:
    api = by_token(server)
    status = api.nodes("pve1").lxc(101).status
    assert "lxc-checkpoint" in done(api, status.suspend.post())
    with pytest.raises(ResourceException, match="CT 101 already running"):
        status.resume.post()
    assert done(api, status.stop.post()) == "OK"
    with pytest.raises(ResourceException, match="CT 101 not running"):
        status.suspend.post()


def test_whether_a_machine_may_start_is_seen_in_the_task(server: PveServer) -> None:
    api, config = by_token(server), {"name": "vm", "memory": 512}
    server.world.guests[210] = Guest(210, "pve1", "qemu", config)
    start = api.nodes("pve1").qemu(210).status.start.post
    config["lock"] = "backup"
    assert done(api, start()) == "VM is locked (backup)"
    del config["lock"]
    assert done(api, start()) == "OK"
    assert done(api, start()) == "VM 210 already running"
    config["template"] = 1
    assert done(api, start()) == "you can't start a vm if it's a template"


def test_a_machine_tells_its_network_where_an_agent_answers(server: PveServer) -> None:
    api, guests = by_token(server), server.world.guests
    guests[210] = Guest(210, "pve1", "qemu", {"name": "vm", "agent": "enabled=1", "memory": 512})
    machine = api.nodes("pve1").qemu(210)
    asked = machine.agent("network-get-interfaces")
    with pytest.raises(ResourceException, match="VM 210 is not running"):
        asked.get()
    assert done(api, machine.status.start.post()) == "OK"
    with pytest.raises(ResourceException, match="QEMU guest agent is not running"):
        asked.get()
    guests[210].interfaces = [{"name": "lo"}]
    assert asked.get() == {"result": [{"name": "lo"}]}
    guests[210].config["agent"] = "0"
    with pytest.raises(ResourceException, match="No QEMU guest agent configured"):
        asked.get()
