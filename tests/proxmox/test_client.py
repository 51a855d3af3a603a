"""The client: what it makes of answers, certificates, sign-ins and names."""

import logging
import threading
import time
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.pve import Drops, Grant, Guest, Lacks, Locked, Node, PveServer, Refuses, Slow, Token, User, World
from proxmox.client import Login, NodeApi, errors, names
from tests.proxmox.panel_side import endpoint, simulated
from tests.waiting import wait_for

AUDITOR = Login("app@pve!sep", "22222222")


def with_people(world: World) -> World:
    """A user whose separated token has no rights of its own."""
    tokens = {"sep": Token("sep", "22222222"), "full": Token("full", "33333333", privsep=False)}
    world.users["app@pve"] = User("app@pve", "secret12", tokens=tokens)
    world.acl.append(Grant("/", "app@pve", "PVEVMAdmin"))
    return world


@pytest.mark.parametrize("version", ["7.4-17", "8.4.1", "9.2.11"])
def test_every_version_is_read_into_the_same_types(version):
    with simulated(version=version) as pve:
        pve.world.guests[110] = Guest(110, "pve1", "qemu", {"name": "vm110", "memory": 512})
        with NodeApi(endpoint(pve)) as api:
            assert api.version().major == int(version[0])
            assert api.status().memory == 32 << 30
            assert [(one.vmid, one.kind, one.name, one.runs) for one in api.guests()] == [
                (101, "lxc", "ct101", True),
                (102, "lxc", "ct102", True),
                (103, "lxc", "ct103", True),
                (110, "qemu", "vm110", False),
            ]
            one = api.guest("lxc", 101)
            assert (one.vmid, one.memory, one.cpus, one.lock) == (101, 1 << 30, 2.0, "")
            assert api.config("lxc", 101)["hostname"] == "ct101"
            assert [storage.name for storage in api.storages("rootdir")] == ["local-lvm"]
            assert api.volumes("local", "vztmpl")[0].file_name.startswith("debian-12")
            assert api.next_id() == 100
            assert [bridge["iface"] for bridge in api.networks() if bridge["type"] == "bridge"] == ["vmbr0"]


def test_a_password_signs_in_and_changes_are_allowed_to_its_ticket(pve):
    with NodeApi(endpoint(pve, login=Login("root@pam", "secret"))) as api:
        upid = api.power("lxc", 101, "stop")
        assert names.node_of_task(upid) == "pve1"


def test_a_ticket_that_has_run_out_is_asked_for_again(pve):
    with NodeApi(endpoint(pve, login=Login("root@pam", "secret"))) as api:
        api.version()
        pve.cluster.access._key = b"another"  # as if the node had made new keys: no ticket holds any more
        assert api.version().major == 9


def test_true_and_false_are_sent_as_one_and_zero(api, pve):
    api.change_config("lxc", 101, {"onboot": False, "cores": None})
    assert pve.world.guests[101].config["onboot"] == 0
    assert "cores" not in pve.world.guests[101].config


@pytest.mark.parametrize("who", [Login("root@pam", "wrong"), Login("root@pam!panel", "wrong")])
def test_a_wrong_secret_is_refused_and_not_told(pve, who):
    with NodeApi(endpoint(pve, login=who)) as api, pytest.raises(errors.SignInRefused) as refused:
        api.version()
    assert who.who in str(refused.value)
    assert "wrong" not in str(refused.value) + repr(api.endpoint)


def test_an_unknown_certificate_gets_nothing_and_is_offered(pve):
    offered: list[str] = []
    with (
        NodeApi(endpoint(pve, fingerprint=""), on_certificate=offered.append) as api,
        pytest.raises(errors.CertificateUnknown) as unknown,
    ):
        api.version()
    assert (unknown.value.fingerprint, offered) == (pve.fingerprint, [unknown.value.pem])


def test_a_changed_certificate_gets_nothing(pve):
    with (
        NodeApi(endpoint(pve, fingerprint=":".join(["AB"] * 32))) as api,
        pytest.raises(errors.CertificateChanged) as changed,
    ):
        api.power("lxc", 101, "stop")
    assert changed.value.fingerprint == pve.fingerprint
    assert not pve.cluster.tasks.all()


def test_a_pinned_certificate_counts_whatever_name_it_was_made_for(pve):
    with (
        PveServer(World.example(), host="127.0.0.3", certificate=pve.certificate) as other,
        NodeApi(endpoint(other, address="127.0.0.3")) as api,
    ):
        assert api.version().major == 9


def test_nothing_listens_there(pve):
    with NodeApi(endpoint(pve, port=1)) as api, pytest.raises(errors.Unreachable, match="refused") as error:
        api.guests()
    assert not isinstance(error.value, errors.NoAnswer)


def test_a_hanging_api_is_given_up_in_time(pve):
    pve.faults.add(Slow(seconds=3600))
    with NodeApi(endpoint(pve), read_seconds=0.5) as api:
        began = time.monotonic()
        with pytest.raises(errors.NoAnswer):
            api.guests()
        assert time.monotonic() - began < 20
    pve.faults.clear()


def test_a_change_that_hangs_is_given_up_in_time_too(pve):
    pve.faults.add(Slow(method="PUT", seconds=3600))
    with NodeApi(endpoint(pve), write_seconds=0.5) as api, pytest.raises(errors.NoAnswer):
        api.change_config("lxc", 101, {"memory": 512})
    pve.faults.clear()


def test_another_thread_can_cut_what_waits(pve):
    for method in ("POST", "GET"):  # which is asked again where a connection has ended by itself
        hang = pve.faults.add(Slow(method=method, seconds=3600, times=9))
        with NodeApi(endpoint(pve), read_seconds=60) as api:
            thread = threading.Thread(target=cut_once_asked, args=(api, hang))
            thread.start()
            ask = api.guests if method == "GET" else partial(api.power, "lxc", 101, "stop")
            with pytest.raises(errors.NoAnswer):
                ask()
            thread.join()
        assert hang.times == 8
        pve.faults.clear()


def cut_once_asked(api: NodeApi, hang: Slow) -> None:
    wait_for(lambda: hang.times == 8, name="the request at the server")
    api.cut()


def test_a_dropped_connection_is_tried_again_for_reading_only(api, pve):
    pve.faults.add(Drops(times=1))
    assert api.version().major == 9
    pve.faults.add(Drops(times=1))
    with pytest.raises(errors.NoAnswer):
        api.change_config("lxc", 101, {"memory": 512})
    assert pve.world.guests[101].config["memory"] == 1024


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Refuses(status=595, reason="No route to host"), errors.NodeDown),
        (Refuses(status=596, reason="Connection timed out"), errors.NodeDown),
        (Refuses(status=503, reason="Service Unavailable"), errors.Refused),
    ],
)
def test_a_refusal_keeps_its_own_words(api, pve, fault, expected):
    pve.faults.add(fault)
    with pytest.raises(expected) as refused:
        api.guests()
    assert fault.reason in str(refused.value)


def test_missing_rights_name_path_and_privilege():
    with PveServer(with_people(World.example())) as pve:
        pve.faults.add(Lacks(privileges=("VM.PowerMgmt",)))
        with (
            NodeApi(endpoint(pve, login=Login("app@pve!full", "33333333"))) as api,
            pytest.raises(errors.RightsMissing) as missing,
        ):
            api.power("lxc", 101, "start")
    assert (missing.value.path, missing.value.privileges) == ("/vms/101", ("VM.PowerMgmt",))


def test_a_separated_token_without_rights_sees_an_empty_list():
    with PveServer(with_people(World.example())) as pve, NodeApi(endpoint(pve, login=AUDITOR)) as api:
        assert api.guests() == []
        assert not any(api.permissions().values())


def test_a_locked_guest_an_absent_one_a_wrong_value_and_an_unknown_node(api, pve):
    pve.faults.add(Locked(vmid=102))
    with pytest.raises(errors.Locked) as locked:
        api.change_config("lxc", 102, {"memory": 512})
    assert locked.value.lock == "backup"
    with pytest.raises(errors.Gone):
        api.config("lxc", 999)
    with pytest.raises(errors.Refused) as wrong:
        api.change_config("lxc", 101, {"memory": "much"})
    assert list(wrong.value.errors) == ["memory"]
    with NodeApi(endpoint(pve, node="nope")) as other, pytest.raises(errors.Refused, match="nope"):
        other.guests()


def test_a_guest_that_another_change_holds_is_locked_too():
    with simulated(lock_timeout=0.1) as pve, NodeApi(endpoint(pve)) as api:
        held, free = threading.Event(), threading.Event()

        def hold() -> None:
            with pve.cluster.hold(101):
                held.set()
                free.wait(60)

        threading.Thread(target=hold).start()
        assert held.wait(60)
        with pytest.raises(errors.Locked):
            api.change_config("lxc", 101, {"memory": 512})
        free.set()


def test_the_other_node_of_a_cluster_answers_through_this_one_or_is_down():
    world = World.example()
    world.nodes["pve2"] = Node("pve2", refuses="No route to host")
    with (
        PveServer(world) as pve,
        NodeApi(endpoint(pve, node="pve2")) as api,
        pytest.raises(errors.NodeDown, match="No route to host"),
    ):
        api.guests()


def test_passwords_and_tokens_are_not_logged(pve, caplog):
    caplog.set_level(logging.DEBUG)
    for name in ("proxmoxer", "proxmoxer.core", "proxmoxer.backends.https", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with NodeApi(endpoint(pve)) as api, pytest.raises(errors.Refused):
        api.create_container(555, {"ostemplate": "local:vztmpl/none", "password": "hush-hush", "bogus": 1})
    assert "hush-hush" not in caplog.text
    assert "secret" not in caplog.text


BAD = ["", ".", "..", "a/b", "../x", "a b", "a\n", "pve\x00", "ä", "-a", "a%2f", "x?y", "x#y"]


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_name_is_not_sent(api, pve, text):
    calls: list[Any] = [
        lambda: api.volumes(text, "vztmpl"),
        lambda: api.roll_back("lxc", 101, text),
        lambda: api.task(text),
        lambda: api.guest(text, 101),
        lambda: api.guest("lxc", text),
        lambda: api.power("lxc", 101, text),
        lambda: NodeApi(endpoint(pve, node=text)).guests(),
    ]
    for call in calls:
        with pytest.raises(errors.BadName):
            call()


@given(st.text(max_size=60))
def test_a_checked_name_is_one_part_of_a_path(text):
    for check in (names.node, names.storage, names.snapshot, names.upid):
        try:
            part = check(text)
        except errors.BadName:
            continue
        assert part == text
        assert not set(part) & set("/?#%\\ \n\r\t\x00")
        assert part not in {".", ".."}


@pytest.mark.parametrize("number", [0, 99, -1, True, 1_000_000_000, 101.0, "101", None])
def test_what_is_no_id_is_not_sent(number):
    with pytest.raises(errors.BadName):
        names.vmid(number)
