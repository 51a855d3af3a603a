"""The pages of forwarded ports: for people and for programs."""

import json

import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.actors import Actor
from forwarding.desired_ports import nat_of, script
from forwarding.forms.ports import PortForwardForm
from forwarding.models import PortForward
from forwarding.services.ports import create_port_forward
from jobs.models import Job
from servers.models import Rollout, Server

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}


def data(rows, **more) -> dict:
    return {
        "destination": rows.web1.pk,
        "protocol": "tcp",
        "ports": "8080",
        "destination_ports": "80",
        **more,
    }


def post(client, url: str, body: dict):
    return client.post(url, json.dumps(body), content_type="application/json", headers=JSON)


NEW = "/forwarding/ports/new/"


def test_a_port_is_forwarded_by_the_form(admin_client, rows):
    answer = admin_client.post(NEW, data(rows, ports=" 9000 - 9010 ", destination_ports="", note="games"))
    rule = PortForward.objects.get()
    assert answer.headers["Location"] == rule.get_absolute_url()
    assert (rule.host, rule.ports, rule.destination_ports, rule.note) == (
        rows.pve1,
        "9000-9010",
        "9000-9010",
        "games",
    )
    assert admin_client.get(rule.get_absolute_url()).status_code == 200
    Rollout.objects.update(state="in_sync")
    for contact, words in (("ok", ">active<"), ("unreachable", "server unreachable")):
        Server.objects.filter(pk=rule.destination_id).update(contact=contact)
        for page in ("/forwarding/ports/", rule.get_absolute_url(), rule.destination.get_absolute_url()):
            assert words in admin_client.get(page).content.decode(), (page, contact)
    Server.objects.filter(pk=rule.host_id).update(contact="unreachable")
    for page in ("/forwarding/ports/", rule.get_absolute_url(), rule.host.get_absolute_url()):
        assert "host unreachable" in admin_client.get(page).content.decode(), page


def test_what_is_switched_off_says_whether_the_host_has_it_so(admin_client, rows):
    admin_client.post(NEW, data(rows))
    rule = PortForward.objects.get()
    post(admin_client, f"{rule.get_absolute_url()}switch/", {"active": False})
    for state, words in (
        ("in_sync", ""),
        ("waiting", ">being rolled out<"),
        ("unreachable", ">host unreachable<"),
    ):
        Rollout.objects.filter(kind="nat").update(state=state)
        for page in ("/forwarding/ports/", rule.get_absolute_url(), rule.destination.get_absolute_url()):
            shown = admin_client.get(page).content.decode()
            assert ">switched off<" in shown
            assert words in shown, (page, state)


@pytest.mark.services
def test_a_program_forwards_changes_switches_and_deletes(admin_client, rows):
    made = post(admin_client, NEW, data(rows)).json()
    assert made["ok"]
    url = f"/forwarding/ports/{made['id']}/"
    shown = admin_client.get(url, headers=JSON).json()
    assert (shown["host"], shown["ports"], shown["active"]) == ("pve1", "8080", True)
    assert post(admin_client, f"{url}edit/", data(rows, ports=8081)).json()["ports"] == "8081"
    assert post(admin_client, f"{url}switch/", {"active": False}).json()["ok"]
    assert admin_client.get("/forwarding/ports/", headers=JSON).json()["rows"][0]["active"] is False
    assert post(admin_client, f"{url}delete/", {}).json()["ok"]
    assert not PortForward.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ports", "http"), ("ports", "80;id"), ("ports", "80\n81"), ("ports", "٨٠"), ("ports", "70000"),
        ("ports", ""), ("ports", "10-5"), ("ports", "-1"), ("ports", "8080-8081-8082"),
        ("destination_ports", "80-85"), ("destination_ports", "0"), ("protocol", "icmp"), ("protocol", "tcp -j DROP"),
        ("destination", "999999"), ("destination", "x"), ("note", "a\x00b"), ("note", "x" * 201),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_field(admin_client, rows, field, value):
    answer = post(admin_client, NEW, data(rows, **{field: value}))
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert not PortForward.objects.exists()


def test_another_host_than_the_destinations_is_refused(admin_client, rows):
    other = Server.objects.create(
        name="pve2", is_proxmox=True, proxmox_node="pve2", external_interface="eth0", keymanager_name="pve2"
    )
    answer = post(admin_client, NEW, data(rows, host=other.pk))
    assert "destination" in answer.json()["errors"]


def test_the_diff_is_shown_before_and_nothing_is_saved(admin_client, rows):
    answer = admin_client.post(NEW, data(rows, preview="1"))
    assert answer.status_code == 200
    assert "tcp 8080 10.0.0.102 80" in answer.content.decode()
    assert "10.0.0.102 80" in post(admin_client, NEW, data(rows, preview="1")).json()["difference"]
    assert not PortForward.objects.exists()
    assert not Rollout.objects.exists()


def test_of_a_hosts_first_port_it_is_said_that_its_guests_addresses_are_translated_too(admin_client, rows):
    (told,) = post(admin_client, NEW, data(rows, preview=True)).json()["preview"]
    assert told["begins"] == ["masquerading of 10.0.0.0/24 behind eth0", "TCP 8080 to 10.0.0.102:80"]
    assert told["files"]["/etc/init.d/nat-vz"] == "new"
    assert post(admin_client, NEW, data(rows)).status_code == 200
    (told,) = post(admin_client, NEW, data(rows, ports="8081", preview=True)).json()["preview"]
    assert (told["begins"], told["files"]) == (
        ["TCP 8081 to 10.0.0.102:80"],
        {"/etc/init.d/nat-vz": "changed"},
    )


def test_a_dangerous_port_asks_for_a_second_word(admin_client, rows):
    answer = admin_client.post(NEW, data(rows, ports="22"))
    assert answer.status_code == 422
    assert "Yes, do it all the same" in answer.content.decode()
    assert "confirm" in post(admin_client, NEW, data(rows, ports="22")).json()["errors"]
    assert not PortForward.objects.exists()
    assert admin_client.post(NEW, data(rows, ports="22", confirm="on")).status_code == 302
    assert PortForward.objects.get().ports == "22"


def test_a_harmless_port_does_not_ask(admin_client, rows):
    assert "Yes, do it all the same" not in admin_client.get(NEW).content.decode()


def test_deleting_and_switching_off_what_carries_our_own_way_asks(admin_client, rows):
    rows.web1.ssh_connection = "-p 2202 root@pve1"
    rows.web1.save()
    rule = create_port_forward(Actor.system("x"), rows.rule("2202", inside="22"))
    delete = reverse("forwarding:delete_port", args=[rule.pk])
    assert "own connection" in admin_client.get(delete).content.decode()
    assert admin_client.post(delete).status_code == 422
    switch = reverse("forwarding:switch_port", args=[rule.pk])
    answer = admin_client.post(switch)
    assert answer.status_code == 422
    assert "own connection" in answer.content.decode()
    assert admin_client.post(switch, {"confirm": "on"}).status_code == 302
    assert not PortForward.objects.get().active


def test_from_a_server_page_host_and_destination_are_filled_in(admin_client, rows):
    page = admin_client.get(f"{NEW}?destination={rows.web1.pk}").content.decode()
    assert f'<input type="hidden" name="destination" value="{rows.web1.pk}">' in page
    page = admin_client.get(f"{NEW}?host={rows.pve1.pk}").content.decode()
    assert "web1 – 10.0.0.102" in page
    assert admin_client.get(f"{NEW}?host=x&destination=99999999999999999999").status_code == 200


def test_the_server_pages_show_its_ports(admin_client, rows):
    create_port_forward(Actor.system("x"), rows.rule("8080"))
    for server in (rows.pve1, rows.web1):
        page = admin_client.get(server.get_absolute_url()).content.decode()
        assert "TCP 8080" in page
        assert NEW in page
    assert NEW not in admin_client.get(rows.backup1.get_absolute_url()).content.decode()


@pytest.mark.services
def test_the_list_searches_names_and_ports_within_ranges(admin_client, rows):
    create_port_forward(Actor.system("x"), rows.rule("9000-9010"))
    create_port_forward(Actor.system("x"), rows.rule("7000", to=rows.proxy, note="mail"))

    def found(query: str) -> int:
        return admin_client.get(f"/forwarding/ports/?{query}", headers=JSON).json()["total"]

    assert [found(f"q={words}") for words in ("9005", "proxy", "mail", "pve1", "web1 9005", "nothing", "70000000")] == [
        1, 1, 1, 2, 1, 0, 0,
    ]  # fmt: skip
    assert found(f"host={rows.pve1.pk}&protocol=tcp&active=on") == 2
    assert found("active=off") == 0


def test_the_list_takes_a_constant_number_of_queries(admin_client, rows, django_assert_max_num_queries):
    for port in range(7000, 7040):
        create_port_forward(Actor.system("x"), rows.rule(str(port)))
    with django_assert_max_num_queries(12):
        admin_client.get("/forwarding/ports/")


def test_owners_see_and_try_the_rules_of_their_servers_and_no_others(member_client, member, rows):
    mine = create_port_forward(Actor.system("x"), rows.rule("8080"))
    other = create_port_forward(Actor.system("x"), rows.rule("8081", to=rows.proxy))
    assert member_client.get(mine.get_absolute_url()).status_code == 404
    rows.web1.owners.add(member)
    assert member_client.get("/forwarding/ports/", headers=JSON).json()["total"] == 1
    assert member_client.get(mine.get_absolute_url()).status_code == 200
    assert member_client.get(other.get_absolute_url()).status_code == 404
    assert member_client.post(reverse("forwarding:ask_port", args=[mine.pk])).status_code == 302
    assert Job.objects.filter(work="forwarding.what_answers").count() == 1
    for name in ("edit_port", "switch_port", "delete_port"):
        assert member_client.post(reverse(f"forwarding:{name}", args=[mine.pk])).status_code == 403
    assert member_client.post(NEW, data(rows)).status_code == 403


def test_what_answered_is_shown(admin_client, rows):
    rule = create_port_forward(Actor.system("x"), rows.rule("8080"))
    rule.answers = [
        {"step": "guest", "ok": False, "words": "Nothing listens on TCP 80 in web1."},
        {"step": "outside", "ok": None, "words": "…"},
    ]
    rule.answers_at = rule.created_at
    rule.save()
    assert "Nothing listens on TCP 80 in web1." in admin_client.get(rule.get_absolute_url()).content.decode()


PORTS = st.text(st.characters(codec="utf-8"), max_size=12) | st.from_regex(
    r"[0-9]{1,5}(-[0-9]{1,5})?", fullmatch=True
)


class Hostile(TestCase):
    """Whatever is typed into the form, the script keeps its structure."""

    @settings(max_examples=150, deadline=None)
    @given(PORTS, PORTS, st.text(max_size=30), st.sampled_from(["tcp", "udp", "tcp\n", "all"]))
    def test_typed(self, ports, inside, note, protocol):
        host = Server.objects.create(
            name="pve1", is_proxmox=True, proxmox_node="n", external_interface="eth0", keymanager_name="n"
        )
        guest = Server.objects.create(
            name="web1", is_vm=True, vm_host=host, internal_ip="10.0.0.2", keymanager_name="w"
        )
        empty = script(nat_of(host)).splitlines()
        form = PortForwardForm(
            {
                "destination": guest.pk,
                "protocol": protocol,
                "ports": ports,
                "destination_ports": inside,
                "note": note,
            }
        )
        if not form.is_valid():
            return
        try:
            rule = create_port_forward(Actor.system("x"), form.filled(), confirmed=True)
        except ValidationError:
            return
        lines = script(nat_of(host)).splitlines()
        added = [line for line in lines if line not in set(empty)]
        first = f"{rule.pk} {rule.protocol} {rule.ports.replace('-', ':')} 10.0.0.2 "
        assert added == [first + rule.destination_ports.replace("-", ":")]
        assert len(lines) == len(empty) + 1
