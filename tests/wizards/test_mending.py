"""A run that has failed is resumed with other answers, where its task says which."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import AuditEntry, User
from forwarding.models import PortForward
from jobs import execute
from jobs.models import Job
from jobs.upkeep import reap
from lab.pve import World
from proxmox.models import Creation, Offer
from servers.models import Server
from tests.jobs.working import work_off
from tests.proxmox.creating import TEMPLATE, simulated
from tests.wizards.create_vm_ground import pin
from tests.wizards.test_create_vm_taken import NAME, Browser, Page, take
from tests.wizards.walking import calls, started, states
from wizards.models import WizardRun

pytestmark = pytest.mark.django_db(transaction=True)
JSON = {"accept": "application/json"}


def failed(client, folder, **more) -> WizardRun:
    (folder / "fail-two").touch()
    run = started(client, folder, **more)
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("failed", ["done", "failed", "planned"])
    return run


def test_what_the_failed_task_may_change_is_asked_and_the_run_goes_on_with_it(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    url = f"/wizards/runs/{run.pk}/mend/"
    assert url in admin_client.get(run.get_absolute_url()).content.decode()
    page = Page(admin_client.get(url).content.decode())
    assert {"title", "with_two"} == page.fields.keys() - {"csrfmiddlewaretoken"}
    assert "two was told to fail" in page.html
    wrong = Page(admin_client.post(url, {"title": "", "with_two": "on"}).content.decode())
    assert wrong.errors.keys() == {"title"}
    assert admin_client.post(url, {"title": "Another", "with_two": "on"}).url == run.get_absolute_url()
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run), run.step_values(1)["title"]) == ("done", ["done"] * 3, "Another")
    assert run.step_values(1)["number"] == 3  # what was not asked stays
    assert run.tasks.get(slug="three").says == "Make three for Another"
    assert run.tasks.get(slug="one").says == "Make one for A walk"
    entry = AuditEntry.objects.filter(verb="wizard.resume").latest("pk")
    assert (entry.before, entry.after) == ({"title": "A walk"}, {"title": "Another"})


def test_a_part_that_has_begun_is_called_once_more_when_it_is_switched_off(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    answer = admin_client.post(
        f"/wizards/runs/{run.pk}/mend/", {"with_two": False}, content_type="application/json", headers=JSON
    )
    assert answer.json()["ok"], answer.content
    work_off()
    run.refresh_from_db()
    assert (run.state, states(run)) == ("done", ["done"] * 3)
    assert calls(tmp_path) == ["one", "two", "two", "three"]


def test_a_part_that_has_not_begun_is_switched_off(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    run.tasks.filter(slug="two").update(facts={})
    assert admin_client.post(f"/wizards/runs/{run.pk}/mend/", {"title": "A walk"}).status_code == 302
    work_off()
    assert states(run) == ["done", "off", "done"]
    assert calls(tmp_path) == ["one", "two", "three"]


def test_a_program_hears_what_may_not_be_changed_any_more(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    url = f"/wizards/runs/{run.pk}/mend/"
    assert admin_client.get(url, headers=JSON).json()["fields"].keys() == {"title", "with_two"}
    for field in ("number", "never"):
        answer = admin_client.post(url, {field: 4}, content_type="application/json", headers=JSON)
        assert answer.json()["errors"].keys() == {field}
    for said in ("off", "no", 0, None):
        answer = admin_client.post(url, {"with_two": said}, content_type="application/json", headers=JSON)
        assert answer.json()["errors"].keys() == {"with_two"}, (
            said
        )  # it was taken for a yes, and the part was done
    run.refresh_from_db()
    assert (run.state, run.step_values(1)["number"]) == ("failed", 3)


def test_a_program_hears_where_what_it_answers_anew_counts_for_nothing(admin_client) -> None:
    with simulated() as (_pve, row):
        host = host_with_offer(row)
        off = {"make_container": "", "setup": "", "fetch_keys": "", "backup": "", "forward_domain": ""}
        run = begun(admin_client, host, **off, ssh_connection="", backup_connection="")
        WizardRun.objects.filter(pk=run.pk).update(state="failed")
        run.tasks.filter(slug="setup").update(state="failed")
        url = f"/wizards/runs/{run.pk}/mend/"
        said = {"setup": False, "script_arguments": "a=b"}
        answer = admin_client.post(url, said, content_type="application/json", headers=JSON)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["script_arguments"])


def test_only_a_failed_task_that_still_can_is_mended(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    url = f"/wizards/runs/{run.pk}/mend/"
    task = run.tasks.get(slug="two")
    task.facts = {"fixed": True}
    task.save()
    assert admin_client.post(url, {"title": "x"}, headers=JSON).status_code == 409
    assert url not in admin_client.get(run.get_absolute_url()).content.decode()
    task.facts = {}
    task.save()
    for change in ({"undoing": True}, {"state": "stopped"}, {"state": "done"}):
        WizardRun.objects.filter(pk=run.pk).update(undoing=False, state="failed")
        WizardRun.objects.filter(pk=run.pk).update(**change)
        assert admin_client.post(url, {"title": "x"}, headers=JSON).status_code == 409
    run.refresh_from_db()
    assert run.step_values(1)["title"] == "A walk"


def carry_out_once(run: WizardRun) -> None:
    """The run's own job alone: what it has others do, stays to be done."""
    run.refresh_from_db()
    job = execute.claim(Job.objects.get(pk=run.job_id or 0).pk)
    assert job
    execute.carry_out(job)


def begun(client: Any, host: Server, **typed: Any) -> WizardRun:
    """A run that was started, and that nobody has carried on yet."""
    browser = Browser(client, host)
    browser.answered(**typed)
    answer = client.post(f"/wizards/runs/{browser.run.pk}/review/")
    assert answer.url == browser.run.get_absolute_url(), answer.content
    return browser.run


def host_with_offer(host: Server) -> Server:
    host.external_ip, host.ssh_connection = "198.51.100.9", "root@198.51.100.9"
    host.save()
    pin(host)
    Offer.objects.create(
        host=host, templates=[[TEMPLATE, 1]], storages=[["local-lvm", "lvmthin", 1 << 40]], bridges=[]
    )
    return host


def test_an_address_taken_between_the_last_step_and_the_task_is_said_and_the_run_goes_on_with_the_next(
    admin_client,
) -> None:
    with simulated(World.example(containers=1)) as (pve, row):
        host = host_with_offer(row)
        run = begun(admin_client, host)
        asked = run.step_values(1) or WizardRun.objects.get(pk=run.pk).step_values(1)
        address = asked["address"]
        (vmid,) = pve.world.guests
        net = pve.world.guests[vmid].config["net0"]
        pve.world.guests[vmid].config["net0"] = ",".join(
            f"ip={address}/24" if part.startswith("ip=") else part for part in net.split(",")
        )
        work_off()
        run.refresh_from_db()
        assert (run.state, run.tasks.get(slug="container").state) == ("failed", "failed")
        assert "It is taken:" in run.why
        url = f"/wizards/runs/{run.pk}/mend/"
        page = Page(admin_client.get(url).content.decode())
        assert address in page.errors["address"]
        assert page.fields["address"] != address
        assert admin_client.post(url, page.fields).url == run.get_absolute_url()
        carry_out_once(run)
        creation = Creation.objects.latest("pk")
        assert (creation.open, creation.address) == (True, page.fields["address"])
        run.refresh_from_db()
        number = int(page.fields["address"].rpartition(".")[2])
        assert run.step_values(2)["ssh_port"] == 100 + number
        assert run.step_values(2)["ssh_connection"] == f"-p {100 + number} root@198.51.100.9"
        assert f"Port {100 + number} " in run.tasks.get(slug="port").says


@pytest.mark.parametrize("gone", ["template", "storage"])
def test_what_proxmox_does_not_have_any_more_is_said_and_what_it_has_now_is_offered(
    admin_client, gone
) -> None:
    other = {"template": "local:vztmpl/alpine-3.20-default_20240908_amd64.tar.xz", "storage": "roomy"}[gone]
    with simulated(World.example(containers=1)) as (pve, row):
        run = begun(admin_client, host_with_offer(row))
        if gone == "template":
            volumes = pve.world.storages["local"].volumes
            (old,) = volumes.values()
            volumes.clear()
            volumes[other] = replace(old, volid=other)
        else:
            pve.world.storages[other] = replace(pve.world.storages.pop("local-lvm"), name=other)
        work_off()
        run.refresh_from_db()
        assert run.tasks.get(slug="container").state == "failed", run.why
        url = f"/wizards/runs/{run.pk}/mend/"
        page = Page(admin_client.get(url).content.decode())
        assert "Select a valid choice" in page.errors[gone]
        assert page.fields[gone] == other
        assert admin_client.post(url, page.fields).url == run.get_absolute_url()
        carry_out_once(run)
        assert getattr(Creation.objects.latest("pk"), gone) == other


def test_resumed_without_a_change_it_fails_with_the_same_words(admin_client) -> None:
    with simulated(World.example(containers=1)) as (pve, row):
        run = begun(admin_client, host_with_offer(row))
        (vmid,) = pve.world.guests
        run.refresh_from_db()
        pve.world.guests[vmid].config["net0"] = (
            f"name=eth0,bridge=vmbr0,ip={run.step_values(1)['address']}/24"
        )
        work_off()
        admin_client.post(f"/wizards/runs/{run.pk}/resume/")
        work_off()
        run.refresh_from_db()
        assert "It is taken:" in run.why
        assert Creation.objects.count() == 1


def test_a_port_taken_meanwhile_is_answered_anew_with_the_connection_through_it(admin_client) -> None:
    with simulated() as (_pve, row):
        host = host_with_offer(row)
        off = {"make_container": "", "setup": "", "fetch_keys": "", "backup": "", "forward_domain": ""}
        run = begun(admin_client, host, **off)
        run.refresh_from_db()
        port = run.step_values(2)["ssh_port"]
        take("ssh_port", host, port)
        carry_out_once(run)
        run.refresh_from_db()
        assert (run.state, run.tasks.get(slug="port").state) == ("failed", "failed"), run.why
        url = f"/wizards/runs/{run.pk}/mend/"
        page = Page(admin_client.get(url).content.decode())
        assert str(port) in page.errors["ssh_port"]
        assert page.fields["ssh_port"] == str(port + 1)
        assert page.fields["ssh_connection"] == f"-p {port + 1} root@198.51.100.9"
        bad = {**page.fields, "ssh_port": str(port + 7)}
        assert Page(admin_client.post(url, bad).content.decode()).errors.keys() == {
            "ssh_connection",
            "backup_connection",
        }
        assert admin_client.post(url, page.fields).url == run.get_absolute_url()
        carry_out_once(run)
        assert PortForward.objects.filter(first_port=port + 1, destination__name=NAME).exists()


def test_two_who_resume_at_once_have_it_carried_on_once(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    other = Client()
    other.force_login(User.objects.create(username="second", is_admin=True, is_active=True))
    together = threading.Barrier(3)
    said: list[int] = []

    def resume(client: Any, way: str, typed: dict[str, str]) -> None:
        try:
            together.wait()
            said.append(client.post(f"/wizards/runs/{run.pk}/{way}/", typed, headers=JSON).status_code)
        finally:
            connection.close()

    ways = [
        (admin_client, "mend", {"title": "One", "with_two": "on"}),
        (other, "mend", {"title": "Two", "with_two": "on"}),
        (other, "resume", {}),
    ]
    threads = [threading.Thread(target=resume, args=way) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == [200, 409, 409]
    work_off()
    run.refresh_from_db()
    assert (run.state, calls(tmp_path)) == ("done", ["one", "two", "two", "three"])


def test_another_admin_resumes_it_in_his_name_after_the_first_is_gone(admin_client, tmp_path) -> None:
    run = failed(admin_client, tmp_path)
    second = User.objects.create(username="second", is_admin=True, is_active=True)
    User.objects.filter(pk=run.owner_id or 0).update(is_active=False)
    client = Client()
    client.force_login(second)
    client.post(f"/wizards/runs/{run.pk}/mend/", {"title": "Theirs", "with_two": "on"})
    (job,) = work_off()
    run.refresh_from_db()
    assert (run.state, job.owner) == ("done", second)


def test_a_worker_that_was_killed_in_the_resumed_task_goes_on_with_the_new_answers(
    admin_client, tmp_path
) -> None:
    run = failed(admin_client, tmp_path)
    admin_client.post(f"/wizards/runs/{run.pk}/mend/", {"title": "Anew", "with_two": "on"})
    run.refresh_from_db()
    job = Job.objects.get(pk=run.job_id or 0)
    assert execute.claim(job.pk) is not None  # and its worker dies
    Job.objects.filter(pk=job.pk).update(heartbeat_at=timezone.now() - timedelta(days=1))
    reap()
    work_off()
    run.refresh_from_db()
    assert (run.state, run.step_values(1)["title"]) == ("done", "Anew")
