"""What cannot be is refused in the words, at the moment and in the order in which Proxmox VE 9 refuses it."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPSConnection
from typing import Any
from urllib.parse import quote

import pytest
import requests

from lab.pve import Lacks, Node, PveServer, World
from tests.lab.pve.recordings import ANSWER_SECONDS

TEMPLATE = "local:vztmpl/debian-12-standard_12.7-1_amd64.tar.zst"
NEW = {"vmid": 150, "ostemplate": TEMPLATE, "rootfs": "local-lvm:4", "unprivileged": 1}
LXC = "/nodes/pve1/lxc"
CONFIG, CLONE, RESIZE, MIGRATE = (
    f"{LXC}/101/config",
    f"{LXC}/101/clone",
    f"{LXC}/101/resize",
    f"{LXC}/101/migrate",
)
ONLY_ROOT = "Only root can pass arbitrary filesystem paths. at /usr/share/perl5/PVE/Storage.pm line 651."
BAD = "Parameter verification failed."
Json = dict[str, Any]


@pytest.fixture
def server() -> Iterator[PveServer]:
    world = World.example()
    world.nodes["pve2"] = Node("pve2", refuses="No route to host")
    world.guests[101].running, world.guests[102].running = False, True
    world.guests[103].config |= {"lock": "backup", "mp0": "/srv/data,mp=/data"}
    with PveServer(world) as running:
        yield running


def ask(
    server: PveServer, method: str, path: str, body: Json | None = None, *, who: str = "panel"
) -> requests.Response:
    url = f"{server.url}/api2/json{path}"
    if who == "panel":
        headers = {"Authorization": "PVEAPIToken=root@pam!panel=secret"}
    else:
        login = requests.post(
            f"{server.url}/api2/json/access/ticket",
            {"username": "root@pam", "password": "secret"},
            timeout=ANSWER_SECONDS,
            verify=server.certificate_file,
        )
        given = login.json()["data"]
        headers = {"CSRFPreventionToken": given["CSRFPreventionToken"]}
        headers["Cookie"] = f"PVEAuthCookie={given['ticket']}"
    return requests.request(
        method, url, data=body, headers=headers, timeout=ANSWER_SECONDS, verify=server.certificate_file
    )


@pytest.mark.parametrize(
    ("call", "body", "status", "words"),
    [
        # templates
        (f"POST {LXC}", NEW | {"ostemplate": "x"}, 500, ONLY_ROOT),
        (f"POST {LXC}", NEW | {"ostemplate": "local:vztmpl/../x"}, 500,
         "unable to parse directory volume name 'vztmpl/../x'"),
        (f"POST {LXC}", NEW | {"ostemplate": "local:iso/x.iso"}, 500,
         "unable to use volume local:iso/x.iso - content type needs to be 'vztmpl'"),
        (f"POST {LXC}", NEW | {"ostemplate": "local-lvm:vm-101-disk-0"}, 500,
         "unable to use volume local-lvm:vm-101-disk-0 - content type needs to be 'vztmpl'"),
        (f"POST {LXC}", NEW | {"ostemplate": "-"}, 500, "pipe requires cli environment"),
        (f"POST {LXC}", NEW | {"timezone": "Nowhere/City"}, 400,
         {"timezone": "invalid format - invalid time zone 'Nowhere/City'\n"}),
        # storages, roles and rights
        ("GET /nodes/pve1/storage/none/status", None, 400, {"storage": "No such storage."}),
        ("GET /nodes/pve1/storage?storage=none", None, 400, {"storage": "No such storage."}),
        ("GET /nodes/pve1/storage?content=vztmpl,none,x", None, 400,
         {"content": "invalid format - invalid content type 'x'\n"}),
        ("POST /access/roles", {"roleid": "Old", "privs": "VM.Audit VM.Monitor"}, 400,
         {"privs": "invalid format - invalid privilege 'VM.Monitor'\n"}),
        ("PUT /access/acl", {"path": "/guests/1", "roles": "PVEAdmin", "users": "root@pam"}, 400,
         {"path": "invalid ACL path '/guests/1'"}),
        # disks
        (f"POST {LXC}", NEW | {"rootfs": "nowhere"}, 500, "unable to parse volume ID 'nowhere'"),
        (f"POST {LXC}", NEW | {"rootfs": "nowhere:4"}, 500, "storage 'nowhere' does not exist"),
        (f"POST {LXC}", NEW | {"rootfs": "volume=nowhere:4"}, 500, "storage 'nowhere' does not exist"),
        (f"POST {LXC}", NEW | {"mp0": "/dev/sdb,mp=/data"}, 403,
         "Permission check failed (mount point type device is only allowed for root@pam)"),
        (f"PUT {CONFIG}", {"mp0": "local:4,mp=/data"}, 500,
         "storage 'local' does not allow content type 'rootdir' (Container)"),
        (f"PUT {CONFIG}", {"mp0": "here,mp=/data"}, 500, "unable to parse volume ID 'here'"),
        # options
        (f"PUT {CONFIG}", {"revert": "bogus"}, 400, {"revert": "unknown option 'bogus'"}),
        (f"PUT {CONFIG}", {"delete": "vmid"}, 400, {"delete": "unknown option 'vmid'"}),
        (f"PUT {CONFIG}", {"delete": "digest"}, 400, {"delete": "unknown option 'digest'"}),
        (f"PUT {CONFIG}", {"delete": "mp999"}, 400, {"delete": "unknown option 'mp999'"}),
        (f"PUT {CONFIG}", {"revert": "cores", "cores": 2}, 400,
         {"revert": "you can't use '-cores' and '-revert cores' at the same time"}),
        (f"PUT {CONFIG}", {"delete": "cores", "revert": "cores"}, 400,
         {"delete": "you can't use '-delete cores' and '-revert cores' at the same time"}),
        (f"PUT {CONFIG}", {"delete": "tags", "tags": "a"}, 400,
         {"delete": "you can't use '-tags' and -delete tags' at the same time"}),
        (f"PUT {CONFIG}", {"mp0": "local-lvm:1,mp=/a/../b"}, 400,
         {"mp0": "invalid format - format error\nmp0.mp: invalid format - /a/../b contains illegal character "
          "sequences\n\n"}),
        (f"PUT {LXC}/999/config", {"delete": "bogus"}, 500,
         "Configuration file 'nodes/pve1/lxc/999.conf' does not exist"),
        (f"PUT {LXC}/103/config", {"delete": "bogus"}, 500, "CT is locked (backup)"),
        (f"GET {CONFIG}?current=1&snapshot=a1", None, 400,
         dict.fromkeys(("snapshot", "current"), "cannot use 'snapshot' parameter with 'current'")),
        # sizes
        (f"PUT {RESIZE}", {"disk": "mp5", "size": "+1G"}, 500,
         dict.fromkeys(("mp", "volume"), "property is missing and it is not optional")),
        (f"PUT {RESIZE}", {"disk": "rootfs", "size": "8G"}, 500, "disk is already at specified size"),
        (f"PUT {RESIZE}", {"disk": "rootfs", "size": "1G"}, 500, "unable to shrink disk size"),
        (f"PUT {RESIZE}", {"disk": "rootfs", "size": "9G", "digest": "0" * 40}, 500,
         "detected modified configuration - file changed by other user? Try again."),
        # copies
        (f"POST {CLONE}", {"newid": 150, "pool": "none"}, 403, "Permission check failed (pool 'none' does not exist)"),
        (f"POST {CLONE}", {"newid": 150, "target": "none"}, 500, "no such cluster node 'none'"),
        (f"POST {CLONE}", {"newid": 150, "target": "pve2"}, 500,
         "can't clone CT to node 'pve2' (CT uses local storage)"),
        (f"POST {CLONE}", {"newid": 150, "full": 0, "storage": "local-lvm"}, 500,
         "parameter 'storage' not allowed for linked clones"),
        (f"POST {CLONE}", {"newid": 102, "storage": "none"}, 500, "storage 'none' does not exist"),
        (f"POST {CLONE}", {"newid": 102, "snapname": "none"}, 500, "CT 102 already exists on node 'pve1'"),
        (f"POST {LXC}/103/clone", {"newid": 102}, 500, "CT is locked (backup)"),
        (f"POST {LXC}/102/clone", {"newid": 150}, 500,
         "Cannot do full clones on a running container without snapshots"),
        # destroying: force is for one that runs
        (f"DELETE {LXC}/103?force=1", None, 500, "CT is locked (backup)"),
        # moving
        (f"POST {MIGRATE}", {"target": "pve1"}, 400, {"target": "target is local node."}),
        (f"POST {MIGRATE}", {"target": "none"}, 500, "no such cluster node 'none'"),
        (f"POST {LXC}/102/migrate", {"target": "pve2"}, 500,
         "can't migrate running container without --online or --restart"),
        # tasks
        ("GET /nodes/pve1/tasks/none/status", None, 400, {"upid": "unable to parse worker upid"}),
    ],
)  # fmt: skip
def test_it_is_refused_at_once(server: PveServer, call: str, body: Json, status: int, words: Any):
    method, path = call.split(" ")
    answer = ask(server, method, path, body)
    said = answer.json()
    if isinstance(words, dict):
        assert (answer.status_code, said["errors"]) == (status, words)
        assert answer.reason == (BAD if status == 400 else "format error")
    else:
        assert (answer.status_code, answer.reason, "errors" in said) == (status, words, False)
        assert said["message"] == f"{words}\n"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (LXC, NEW | {"restore": 1, "ostemplate": "local:backup/vzdump-lxc-99-2024_01_01-00_00_00.tar.zst"},
         "unable to restore CT 150 - can't find file 'local:backup/vzdump-lxc-99-2024_01_01-00_00_00.tar.zst'"),
        (LXC, NEW | {"rootfs": "local-lvm:none"}, "unable to create CT 150 - unable to parse lvm volume name 'none'"),
        (LXC, NEW | {"rootfs": "local-lvm:vm-99-disk-0"},
         "unable to create CT 150 - volume 'local-lvm:vm-99-disk-0' does not exist"),
        (CLONE, {"newid": 150, "storage": "local"},
         "clone failed: content type 'rootdir' is not available or configured on storage 'local'"),
        (f"{LXC}/102/snapshot", {"snapname": "a1"}, "OK"),
        (f"{LXC}/999/snapshot", {"snapname": "a1"}, "Configuration file 'nodes/pve1/lxc/999.conf' does not exist"),
        (f"{LXC}/101/snapshot/none/rollback", {}, "snapshot 'none' does not exist"),
    ],
)  # fmt: skip
def test_it_is_refused_in_the_task(server: PveServer, path: str, body: Json, words: str):
    upid = ask(server, "POST", path, body).json()["data"]
    server.cluster.tasks.wait_all()
    assert ask(server, "GET", f"/nodes/pve1/tasks/{upid}/status").json()["data"]["exitstatus"] == words
    assert 150 not in server.world.guests
    elsewhere = ask(server, "GET", f"/nodes/pve2/tasks/{upid}/status")
    assert (elsewhere.status_code, elsewhere.reason) == (595, "No route to host")


def test_a_container_with_a_folder_of_the_node_is_not_copied_nor_that_folder_enlarged(server: PveServer):
    server.world.guests[103].config.pop("lock")
    answer = ask(server, "POST", f"{LXC}/103/clone", {"newid": 150}, who="root")
    assert answer.reason == "unable to clone mountpoint 'mp0' (type bind)"
    answer = ask(server, "PUT", f"{LXC}/103/resize", {"disk": "mp0", "size": "+1G"}, who="root")
    assert answer.reason == "unable to parse volume ID '/srv/data'"


def test_what_one_may_not_make_privileged_is_refused_before_its_id_is_looked_at(server: PveServer):
    server.faults.add(Lacks(privileges=("Sys.Modify",)))
    answer = ask(server, "POST", LXC, NEW | {"vmid": 102, "unprivileged": 0})
    assert (answer.status_code, answer.reason) == (403, "Permission check failed (/, Sys.Modify)")
    assert ask(server, "POST", LXC, NEW | {"vmid": 102}).reason == "CT 102 already exists on node 'pve1'"
    backup = {"restore": 1, "ostemplate": "local:backup/vzdump-lxc-99-2024_01_01-00_00_00.tar.zst"}
    answer = ask(server, "POST", LXC, NEW | backup | {"unprivileged": 0})
    assert answer.ok  # the task sees what is in the backup
    server.cluster.tasks.wait_all()


def test_what_is_copied_is_locked_meanwhile_and_what_it_does_not_use_stays_behind(server: PveServer):
    server.world.durations["vzclone"] = 2.0
    server.world.guests[101].config["unused0"] = "local-lvm:vm-101-disk-7"
    assert ask(server, "POST", CLONE, {"newid": 150}).ok
    assert ask(server, "GET", CONFIG).json()["data"]["lock"] == "disk"
    assert ask(server, "POST", CLONE, {"newid": 151}).reason == "CT is locked (disk)"
    server.cluster.tasks.wait_all()
    assert not {"lock"} & ask(server, "GET", CONFIG).json()["data"].keys()
    assert not {"lock", "unused0"} & ask(server, "GET", f"{LXC}/150/config").json()["data"].keys()


def test_a_disk_that_was_locked_before_the_task_began_stays_as_it_is(
    server: PveServer, monkeypatch: pytest.MonkeyPatch
):
    guest, held, going_on = server.world.guests[101], threading.Event(), threading.Event()

    def hold() -> None:
        with server.cluster.hold(101):
            held.set()
            going_on.wait(ANSWER_SECONDS)
            guest.config["lock"] = "backup"

    begin = server.cluster.tasks.start

    def begin_late(*words: Any) -> str:
        threading.Thread(target=hold).start()
        held.wait(ANSWER_SECONDS)
        upid = begin(*words)
        going_on.set()
        return upid

    monkeypatch.setattr(server.cluster.tasks, "start", begin_late)
    upid = ask(server, "PUT", RESIZE, {"disk": "rootfs", "size": "+1G"}).json()["data"]
    server.cluster.tasks.wait_all()
    told = ask(server, "GET", f"/nodes/pve1/tasks/{upid}/status").json()["data"]["exitstatus"]
    assert (told, "size=8G" in guest.config["rootfs"]) == ("CT is locked (backup)", True)


def test_a_stop_may_end_a_shutdown_that_waits(server: PveServer):
    server.world.durations["vzshutdown"] = 600.0
    waiting = ask(server, "POST", f"{LXC}/102/status/shutdown", {"timeout": 900}).json()["data"]
    ask(server, "POST", f"{LXC}/102/status/stop", {"overrule-shutdown": 1})
    server.cluster.tasks.wait_all()
    tasks = {task.type: task.status for task in server.cluster.tasks.all()}
    assert (tasks["vzstop"], tasks["vzshutdown"]) == ("OK", "received interrupt")
    assert waiting in server.cluster.tasks.all()[0].lines[0]


def test_interfaces_have_their_addresses_as_a_list_too(server: PveServer):
    card = ask(server, "GET", f"{LXC}/102/interfaces").json()["data"][1]
    assert card["hardware-address"] == card["hwaddr"]
    assert card["inet"] == "10.0.0.101/24"
    assert card["ip-addresses"] == [{"ip-address": "10.0.0.101", "ip-address-type": "inet", "prefix": 24}]


def test_a_mount_point_is_taken_away_with_the_next_start_and_its_volume_is_kept(server: PveServer):
    volume = "local-lvm:vm-102-disk-1"
    for vmid in (101, 102):
        server.world.guests[vmid].config["mp0"] = f"{volume},mp=/d,size=2G"
        assert ask(server, "PUT", f"{LXC}/{vmid}/config", {"delete": "mp0"}).ok
    stopped, running = server.world.guests[101], server.world.guests[102]
    assert ("mp0" in stopped.config, stopped.config["unused0"]) == (False, volume)
    assert (running.config["mp0"].split(",")[0], running.pending) == (volume, {"mp0": None})
    assert ask(server, "POST", f"{LXC}/102/status/reboot").ok
    server.cluster.tasks.wait_all()
    assert ("mp0" in running.config, running.config["unused0"]) == (False, volume)
    assert ask(server, "PUT", f"{LXC}/102/config", {"delete": "unused0"}).ok
    assert "unused0" not in running.config


def test_a_rollback_leaves_the_description_and_unused_volumes_as_they_are(server: PveServer):
    guest = server.world.guests[101]
    guest.config |= {"description": "web\n", "unused0": "local-lvm:vm-101-disk-1"}
    ask(server, "POST", f"{LXC}/101/snapshot", {"snapname": "one", "description": "of the snapshot"})
    server.cluster.tasks.wait_all()
    ask(server, "PUT", CONFIG, {"memory": 99, "description": "shop"})
    assert "unused0" not in ask(server, "GET", f"{LXC}/101/snapshot/one/config").json()["data"]
    ask(server, "POST", f"{LXC}/101/snapshot/one/rollback")
    server.cluster.tasks.wait_all()
    assert (guest.config["memory"], guest.config["description"]) == (1024, "shop\n")
    assert guest.config["unused0"] == "local-lvm:vm-101-disk-1"


def test_a_hook_script_must_be_there(server: PveServer):
    for volume, words in (
        ("local:snippets/x.sh", "script 'local:snippets/x.sh' does not exist"),
        (TEMPLATE, f"'{TEMPLATE}' is not in the snippets directory"),
    ):
        answer = ask(server, "PUT", CONFIG, {"hookscript": volume}, who="root")
        assert (answer.status_code, answer.reason) == (500, words)


def test_a_path_of_rights_is_kept_as_proxmox_writes_it(server: PveServer):
    body = {"path": "vms//101/", "roles": "PVEAuditor", "users": "root@pam"}
    assert ask(server, "PUT", "/access/acl", body, who="root").ok
    assert server.world.acl[-1].path == "/vms/101"


def test_a_copy_keeps_host_name_and_description_unless_others_are_given(server: PveServer):
    server.world.guests[101].config |= {
        "description": "web\n",
        "mp0": "local-lvm:vm-101-disk-1,mp=/d,size=2G",
    }
    ask(server, "POST", CLONE, {"newid": 150})
    ask(server, "POST", CLONE, {"newid": 151, "hostname": "other", "description": "new"})
    server.cluster.tasks.wait_all()
    first, second = (ask(server, "GET", f"{LXC}/{vmid}/config").json()["data"] for vmid in (150, 151))
    assert (first["hostname"], first["description"]) == ("ct101", "web\n")
    assert (second["hostname"], second["description"]) == ("other", "new\n")
    assert {first["mp0"], first["rootfs"]} == {
        "local-lvm:vm-150-disk-1,mp=/d,size=2G",
        "local-lvm:vm-150-disk-0,size=8G",
    }


def test_what_the_url_has_too_many_of_and_a_body_that_is_no_json(server: PveServer):
    for path in (f"{CONFIG}/", f"{CONFIG}?_dc=1", "/nodes//pve1/lxc//101/config"):
        assert ask(server, "GET", path).json()["data"]["hostname"] == "ct101"
    assert ask(server, "PUT", f"{CONFIG}?cores=3", {"cores": 2}).status_code == 200
    assert server.world.guests[101].config["cores"] == 3
    for kind, status, words in (
        ("application/json", 501, "malformed JSON string"),
        ("text/plain", 506, "upload 'Content-Type 'text/plain' not implemented"),
    ):
        headers = {"Authorization": "PVEAPIToken=root@pam!panel=secret", "Content-Type": kind}
        url = f"{server.url}/api2/json{LXC}"
        answer = requests.post(
            url, "{", headers=headers, timeout=ANSWER_SECONDS, verify=server.certificate_file
        )
        assert answer.status_code == status
        assert answer.reason.startswith(words)
        headers.pop("Authorization")
        answer = requests.post(
            url, "{", headers=headers, timeout=ANSWER_SECONDS, verify=server.certificate_file
        )
        assert (answer.status_code, answer.reason) == (401, "No ticket")


def test_json_has_numbers_and_nothing(server: PveServer):
    headers = {"Authorization": "PVEAPIToken=root@pam!panel=secret", "Content-Type": "application/json"}
    body = '{"memory": 512.0, "cpulimit": 1.5, "tags": null, "onboot": true}'
    url = f"{server.url}/api2/json{CONFIG}"
    assert requests.put(url, body, headers=headers, timeout=ANSWER_SECONDS, verify=server.certificate_file).ok
    config = server.world.guests[101].config
    assert (config["memory"], config["cpulimit"], config["onboot"], "tags" in config) == (512, 1.5, 1, False)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"Authorization": "Basic eDp5"}, "No ticket"),
        ({"Cookie": "PVEAuthCookie="}, "No ticket"),
        ({"Authorization": "PVEAPIToken root@pam!panel"}, "Authentication failed!"),
        (
            {"Authorization": "PVEAPIToken=root@pam!panel=secret", "Cookie": "PVEAuthCookie=x"},
            "Authentication failed!",
        ),
    ],
)
def test_who_asks_is_seen_in_the_cookie_first(server: PveServer, headers: dict[str, str], words: str):
    url = f"{server.url}/api2/json/version"
    answer = requests.get(url, headers=headers, timeout=ANSWER_SECONDS, verify=server.certificate_file)
    assert (answer.status_code, answer.reason) == (401, words)


@pytest.mark.parametrize("by", ["=", " "])
def test_token_and_ticket_may_both_be_in_the_header_authorization(server: PveServer, by: str):
    url = f"{server.url}/api2/json"
    given = requests.post(
        f"{url}/access/ticket",
        {"username": "root@pam", "password": "secret"},
        timeout=ANSWER_SECONDS,
        verify=server.certificate_file,
    ).json()["data"]
    for said in (f"PVEAPIToken{by}root@pam!panel=secret", f"PVEAuthCookie{by}{quote(given['ticket'])}"):
        headers = {"Authorization": said}
        answer = requests.get(
            f"{url}/version", headers=headers, timeout=ANSWER_SECONDS, verify=server.certificate_file
        )
        assert answer.ok, answer.reason


@pytest.mark.parametrize(
    ("method", "path", "headers", "words"),
    [
        ("PUT", f"/api2/json{CONFIG}", {"Transfer-Encoding": "chunked"}, "chunked transfer encoding not supported"),
        ("PUT", f"/api2/json{CONFIG}", {"Transfer-Encoding": "gzip"}, "Unknown transfer encoding 'gzip'"),
        ("GET", "/elsewhere", {}, "no such file '/elsewhere'"),
        ("GET", "/api2", {}, "no such uri"),
    ],
)  # fmt: skip
def test_what_comes_in_pieces_or_lies_elsewhere_is_refused(
    server: PveServer, method: str, path: str, headers: Json, words: str
):
    context = ssl.create_default_context(cafile=server.certificate_file)
    connection = HTTPSConnection(*server.address, timeout=ANSWER_SECONDS, context=context)
    with closing(connection):
        connection.putrequest(method, path)
        connection.putheader("Authorization", "PVEAPIToken=root@pam!panel=secret")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        assert (answer.status, answer.reason, answer.read().decode()) == (501, words, words)
