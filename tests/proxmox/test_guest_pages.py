"""The pages and buttons of what is done with guests."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from forwarding.models import PortForward
from jobs.models import Job, JobState
from proxmox.forms.guests import SettingsForm
from proxmox.models import GuestReading
from proxmox.services import guests as services
from servers.models import Server
from tests.proxmox.nodes import see
from tests.proxmox.panel_side import ACTOR, carry_out, guest
from tests.servers.conftest import work_off

pytestmark = pytest.mark.django_db(transaction=True)
JSON = {"Accept": "application/json"}


def url(host: Server, rest: str, vmid: int = 101) -> str:
    return f"/proxmox/hosts/{host.pk}/guests/lxc/{vmid}/{rest}"


@pytest.fixture
def reading(host, pve) -> GuestReading:
    carry_out(services.read_guest(ACTOR, guest(host)))
    return GuestReading.objects.get(vmid=101)


def last_job() -> Job:
    return Job.objects.latest("pk")


@pytest.mark.parametrize("action", ["start", "stop", "shutdown", "reboot"])
def test_a_button_starts_a_job(host, admin_client, action):
    answer = admin_client.post(url(host, f"power/{action}/"), {"name": "ct101"})
    assert answer.status_code == 302
    job = last_job()
    assert answer.headers["Location"] == job.get_absolute_url()
    assert (job.args["action"], job.args["name"], job.args["vmid"]) == (action, "ct101", 101)


def test_pressed_twice_it_is_one_job(host, admin_client):
    for _turn in range(2):
        admin_client.post(url(host, "power/stop/"), {"name": "ct101"})
    assert Job.objects.count() == 1


@pytest.mark.parametrize("rest", ["power/stop/", "read/", "destroy/"])
def test_an_id_alone_is_not_enough(host, admin_client, rest):
    assert admin_client.post(url(host, rest), {}, headers=JSON).status_code == 422
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    "path", ["lxc/99/", "lxc/9999999999/", "qm/101/", "lxc/101/power/suspend/", "..%2F/101/"]
)
def test_what_is_no_guest_is_not_found(host, admin_client, path):
    rest = path if "power" in path else f"{path}power/stop/"
    answer = admin_client.post(f"/proxmox/hosts/{host.pk}/guests/{rest}", {"name": "ct101"})
    assert answer.status_code == 404


def test_an_owner_starts_and_stops_his_own_guest_and_no_other(host, client):
    owner = User.objects.create_user("olga", "correct horse battery")
    server = Server.objects.create(
        name="ct101.example.org", keymanager_name="ct101", is_vm=True, vm_host=host, internal_ip="10.0.0.5"
    )
    server.owners.add(owner)
    client.force_login(owner)
    assert client.post(url(host, "power/stop/"), {"name": "ct101"}).status_code == 302
    assert client.post(url(host, "power/stop/", 102), {"name": "ct102"}).status_code == 403
    sent = {"name": "ct101", "force": True}
    answer = client.post(url(host, "power/stop/"), sent, "application/json", headers=JSON)
    assert list(answer.json()["errors"]) == ["force"]
    for rest in ("read/", "edit/", "destroy/", "snapshots/"):
        assert client.post(url(host, rest), {"name": "ct101", "typed_name": "ct101"}).status_code == 403
    # With his own guest's name on another's id, the worker finds another name there.
    client.post(url(host, "power/stop/", 102), {"name": "ct101"})
    work_off()
    job = last_job()
    assert (job.args["vmid"], job.state) == (102, JobState.FAILED)
    assert "called ct102, not ct101" in job.error


@pytest.mark.parametrize(
    ("rest", "said", "wrong"),
    [
        ("power/reboot/", {"force": True}, ["force"]),
        ("power/stop/", {"force": True}, ["force"]),
        ("power/reboot/", {"force": False}, []),
        ("power/shutdown/", {"force": True}, []),
        ("snapshots/", {"snapshot": "old", "action": "delete", "description": "why"}, ["description"]),
        ("snapshots/", {"snapshot": "old", "description": "why"}, []),
    ],
)
def test_what_counts_for_another_button_alone_is_refused(reading, admin_client, rest, said, wrong):
    answer = admin_client.post(
        url(reading.host, rest), {"name": "ct101", **said}, "application/json", headers=JSON
    ).json()
    assert (list(answer.get("errors", [])), answer["ok"]) == (wrong, not wrong)


def test_the_form_comes_once_the_settings_were_read(host, pve, admin_client):
    page = admin_client.get(url(host, "edit/") + "?name=ct101").content.decode()
    assert "Read its settings" in page
    answer = admin_client.post(url(host, "read/"), {"name": "ct101"}, follow=True)
    assert "this page goes on by itself" in answer.content.decode()
    work_off()
    page = admin_client.get(url(host, "edit/")).content.decode()
    assert 'name="memory" value="1024"' in page
    GuestReading.objects.update(read_at=timezone.now() - timedelta(hours=1))
    assert "Read its settings" in admin_client.get(url(host, "edit/")).content.decode()


def test_with_scripts_the_settings_are_read_at_once_and_after_a_failure_by_a_button(host, pve, admin_client):
    page = admin_client.get(url(host, "edit/") + "?name=ct101").content.decode()
    assert 'hx-trigger="load, submit"' in page
    assert 'hx-trigger="load, submit"' not in admin_client.get(url(host, "edit/")).content.decode()  # whose?
    admin_client.post(url(host, "read/"), {"name": "other"})
    work_off()
    page = admin_client.get(url(host, "edit/") + "?name=other").content.decode()
    assert 'hx-trigger="load, submit"' not in page
    assert "Read its settings" in page


@pytest.mark.parametrize("seen", [True, False])
def test_a_program_changes_a_guest_whose_settings_nobody_read(host, pve, admin_client, seen):
    if seen:
        see(host)
    config = pve.world.guests[101].config
    memory = config["memory"]
    answer = admin_client.post(
        url(host, "edit/") + "?name=ct101", {"swap": 256, "memory": memory}, "application/json", headers=JSON
    )
    assert answer.json()["changes"] == {"swap": 256, "memory": memory}
    work_off()
    assert (last_job().state, config["swap"], config["memory"]) == (JobState.DONE, 256, memory)
    assert config["hostname"] == "ct101"
    answer = admin_client.post(
        url(host, "edit/") + "?name=ct101", {"swap": -1}, "application/json", headers=JSON
    )
    assert list(answer.json()["errors"]) == ["swap"]


def test_a_program_that_names_no_guest_that_anybody_knows_is_told_so(host, admin_client):
    answer = admin_client.post(url(host, "edit/"), {"swap": 256}, "application/json", headers=JSON)
    assert answer.status_code == 409
    assert not Job.objects.exists()


def test_a_form_that_stayed_open_for_long_is_saved_as_it_was_filled(host, pve, reading, admin_client):
    page = admin_client.get(url(host, "edit/")).context["form"]
    filled = {name: page[name].value() or "" for name in page.fields} | {"memory": 2048, "onboot": ""}
    GuestReading.objects.update(read_at=timezone.now() - timedelta(hours=1))
    answer = admin_client.post(url(host, "edit/"), filled)
    assert answer.headers["Location"] == last_job().get_absolute_url()
    work_off()
    assert pve.world.guests[101].config["memory"] == 2048
    GuestReading.objects.update(read_at=timezone.now() - timedelta(hours=1))
    answer = admin_client.post(url(host, "edit/"), filled | {"digest": "0" * 40}, headers=JSON)
    assert answer.status_code == 409


def test_only_what_was_changed_is_sent(host, pve, reading, admin_client):
    answer = admin_client.post(
        url(host, "edit/"), {"memory": 2048, "onboot": False}, "application/json", headers=JSON
    )
    assert answer.json()["changes"] == {"memory": 2048, "onboot": 0}
    work_off()
    assert (last_job().state, pve.world.guests[101].config["memory"]) == (JobState.DONE, 2048)
    assert pve.world.guests[101].config["hostname"] == "ct101"
    answer = admin_client.post(url(host, "edit/"), {}, "application/json", headers=JSON)
    assert answer.json()["message"] == "Nothing was changed."


def test_what_a_program_names_counts_whatever_was_read_before_somebody_else_changed_it(
    host, pve, reading, admin_client
):
    guest = pve.world.guests[101]
    guest.config.update(memory=777, description="changed by hand\n")
    read = {name: reading.config.get(name, "") for name in ("memory", "swap", "description")}
    assert read["memory"] == 1024
    answer = admin_client.post(url(host, "edit/"), read, "application/json", headers=JSON)
    assert answer.json()["changes"]["memory"] == 1024
    work_off()
    assert (last_job().state, guest.config["memory"], guest.config.get("description")) == (
        JobState.DONE,
        1024,
        None,
    )
    stale = {"memory": 1024, "digest": reading.config["digest"]}
    guest.config["memory"] = 778
    admin_client.post(url(host, "edit/"), stale, "application/json", headers=JSON)
    work_off()
    assert (last_job().state, guest.config["memory"]) == (JobState.FAILED, 778)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("memory", 1),
        ("swap", -1),
        ("cores", 0),
        ("hostname", "a b"),
        ("hostname", "-x"),
        ("nameserver", "9.9.9.9 nope"),
        ("searchdomain", "a..b"),
    ],
)
def test_what_proxmox_would_refuse_is_told_by_the_field(host, reading, admin_client, field, value):
    answer = admin_client.post(url(host, "edit/"), {field: value}, "application/json", headers=JSON)
    assert answer.status_code == 422
    assert list(answer.json()["errors"]) == [field]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["hostname", "nameserver", "searchdomain", "description"]), st.text(max_size=60)
    )
)
def test_no_text_that_the_form_takes_becomes_another_option(typed):
    reading = GuestReading(kind="lxc", vmid=101, name="ct101", config={"memory": 512, "digest": "0"})
    form = SettingsForm({"memory": "512", "swap": "512", "hostname": "ct101", **typed}, reading=reading)
    if form.is_valid():
        changes = form.changes()
        assert set(changes) <= {"hostname", "nameserver", "searchdomain", "description"}
        for name in set(changes) - {"description"}:
            assert changes[name] is None or not set(changes[name]) & set("\n\r,;=\x00")


def test_destroying_says_what_points_to_the_server(host, reading, admin_client):
    server = Server.objects.create(
        name="ct101", keymanager_name="ct101", is_vm=True, vm_host=host, internal_ip="10.0.0.100"
    )
    PortForward.objects.create(
        host=host,
        destination=server,
        first_port=8080,
        last_port=8080,
        destination_first=80,
        destination_last=80,
    )
    page = admin_client.get(url(host, "destroy/")).content.decode()
    assert server.get_absolute_url() in page
    assert "the forwarded port tcp 8080 →" in page
    assert "It ran when it was last read" in page


def test_a_guest_is_destroyed_once_its_name_is_typed(host, pve, reading, admin_client):
    wrong = {"name": "ct101", "typed_name": "ct102", "stop_first": "on"}
    answer = admin_client.post(url(host, "destroy/"), wrong)
    assert answer.status_code == 422
    assert "This is not its name" in answer.content.decode()
    answer = admin_client.post(url(host, "destroy/"), {**wrong, "typed_name": "ct101"})
    assert answer.status_code == 302
    assert last_job().args["identity"]
    work_off()
    assert 101 not in pve.world.guests
    assert Server.objects.filter(pk=host.pk).exists()


def test_snapshots_are_listed_made_and_gone_back_to(host, pve, reading, admin_client):
    values = {"name": "ct101", "snapshot": "x", "description": ""}
    assert admin_client.post(url(host, "snapshots/"), values).status_code == 422
    admin_client.post(url(host, "snapshots/"), {**values, "snapshot": "before"})
    work_off()
    assert list(pve.world.guests[101].snapshots) == ["before"]
    page = admin_client.get(url(host, "snapshots/")).content.decode()
    assert "Go back to before" in page
    told = admin_client.get(url(host, "snapshots/"), headers=JSON).json()
    assert [one["name"] for one in told["snapshots"]] == ["before"]
    admin_client.post(url(host, "snapshots/"), {**values, "snapshot": "before", "action": "roll_back"})
    work_off()
    assert last_job().state == JobState.DONE
