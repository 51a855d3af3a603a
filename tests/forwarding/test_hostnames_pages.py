"""The pages of hostnames: for people and for programs."""

import json
from typing import Any

import pytest
from django.urls import reverse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from accounts.actors import Actor
from forwarding.desired_hostnames import text_of
from forwarding.forms.hostnames import HostnameForm
from forwarding.models import HostnameForward
from forwarding.services.hostnames import create_hostname
from servers.models import Rollout, Server
from tests.forwarding.conftest import HostnameRows

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
NEW = "/forwarding/hostnames/new/"


def data(web: HostnameRows, **more: Any) -> dict[str, Any]:
    return {"domain": "www.example.org", "destinations": [web.web1.pk], "websockets": True, **more}


def typed(web: HostnameRows, **more: Any) -> dict[str, Any]:
    """What a browser sends: the rows of destinations with their blank ones."""
    rows = {
        "destinations": [web.web1.pk, web.web2.pk, ""],
        "destinations_weight": ["1", "3", "1"],
        "destinations_spare": ["no", "no", "no"],
    }
    return {"domain": "www.example.org", **rows, "destination_port": "8000", "websockets": "on", **more}


def post(client: Any, url: str, body: dict[str, Any]) -> Any:
    return client.post(url, json.dumps(body), content_type="application/json", headers=JSON)


def made(web: HostnameRows, *servers: Server, **fields: Any) -> HostnameForward:
    return create_hostname(Actor.system("x"), web.hostname(**fields), web.to(*(servers or [web.web1])))


def test_a_hostname_is_added_by_the_form(admin_client, web):
    answer = admin_client.post(NEW, typed(web, domain="Bücher.Example.org.", certificate_kind="acme"))
    hostname = HostnameForward.objects.get()
    assert answer.headers["Location"] == hostname.get_absolute_url()
    assert (hostname.host, hostname.domain) == (web.pve1, "xn--bcher-kva.example.org")
    assert (hostname.port, hostname.destination_port, hostname.websockets) == (80, 8000, True)
    assert [(one.server, one.weight) for one in hostname.destinations.all()] == [(web.web1, 1), (web.web2, 3)]
    page = admin_client.get(hostname.get_absolute_url()).content.decode()
    assert "bücher.example.org" in page
    assert "xn--bcher-kva.example.org" in page


@pytest.mark.services
def test_a_program_adds_changes_switches_and_deletes(admin_client, web):
    answer = post(admin_client, NEW, data(web)).json()
    assert answer["ok"]
    url = f"/forwarding/hostnames/{answer['id']}/"
    shown = admin_client.get(url, headers=JSON).json()
    assert (shown["host"], shown["domain"], shown["port"], shown["active"]) == (
        "pve1",
        "www.example.org",
        80,
        True,
    )
    assert shown["destinations"] == [{"server": "web1", "id": web.web1.pk, "weight": 1, "spare": False}]
    more = {"destinations": [web.web1.pk, web.web2.pk], "destinations_spare": [False, True], "body_size": 0}
    changed = post(admin_client, f"{url}edit/", data(web, **more)).json()
    assert changed["body_size"] == 0
    assert changed["destinations"][1]["spare"]
    assert post(admin_client, f"{url}switch/", {"active": False}).json()["ok"]
    assert admin_client.get("/forwarding/hostnames/", headers=JSON).json()["rows"][0]["active"] is False
    assert post(admin_client, f"{url}delete/", {}).json()["ok"]
    assert not HostnameForward.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", ""), ("domain", "a b.org"), ("domain", "a.org;"), ("domain", "a.org}"), ("domain", "a\nb.org"),
        ("domain", "a\x00.org"), ("domain", "$host"), ("domain", "~^www"), ("domain", "*.*.org"), ("domain", "*"),
        ("domain", "www.*"), ("domain", ".example.org"), ("domain", "x" * 254), ("domain", "127.0.0.1"),
        ("domain", "[::1]"),
        ("destinations", []), ("destinations", ["x"]), ("destinations", [999999]), ("destinations", ["١"]),
        ("destinations", [""]), ("destinations", ["9" * 30]), ("destination_port", "http"), ("destination_port", 0),
        ("port", 65536), ("port", "80;"), ("https_port", -1), ("balancing", "random"), ("max_fails", 1001),
        ("fail_timeout", 0), ("body_size", "1m"), ("certificate_kind", "own"), ("note", "a\x00"), ("note", "x" * 201),
        ("host", "999999"), ("host", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_by_its_field(admin_client, web, field, value):
    answer = post(admin_client, NEW, data(web, **{field: value}))
    assert answer.status_code == 422
    assert field in answer.json()["errors"]
    assert not HostnameForward.objects.exists()


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"destinations_weight": ["0"]}, "weight"),
        ({"destinations_weight": ["x"]}, "weight"),
        ({"destinations_spare": ["maybe"]}, "Spare"),
        ({"destinations_weight": [1, 2]}, "Choose servers of the inventory"),  # of whom?
        ({"destinations_spare": [False, True]}, "Choose servers of the inventory"),
    ],
)
def test_rows_of_destinations_are_checked(admin_client, web, sent, told):
    answer = post(admin_client, NEW, data(web, **sent))
    assert told in answer.json()["errors"]["destinations"][0]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"destinations": ["web2", "web1"]}, [("web2", 7, True), ("web1", 3, False)]),
        (
            {"destinations": ["web1", "web3", "web2"]},
            [("web1", 3, False), ("web3", 1, False), ("web2", 7, True)],
        ),
        ({"destinations": ["web2"], "destinations_spare": [False]}, [("web2", 7, False)]),
        ({"destinations_weight": [4, 5]}, [("web1", 4, False), ("web2", 5, True)]),
        ({"destinations_spare": None}, [("web1", 3, False), ("web2", 7, False)]),
        ({"note": "x"}, [("web1", 3, False), ("web2", 7, True)]),
    ],
)
def test_what_a_program_does_not_say_of_a_destination_stays(admin_client, web, sent, kept):
    rows = {"destinations_weight": [3, 7], "destinations_spare": [False, True]}
    new = post(admin_client, NEW, data(web, destinations=[web.web1.pk, web.web2.pk], **rows)).json()
    web3 = Server.objects.create(name="web3", is_vm=True, vm_host=web.pve1, internal_ip="10.0.0.77")
    numbers = {one.name: one.pk for one in (web.web1, web.web2, web3)}
    body = dict(sent)
    if "destinations" in sent:
        body["destinations"] = [numbers[name] for name in sent["destinations"]]
    assert post(admin_client, f"{new['url']}edit/", body).status_code == 200
    found = HostnameForward.objects.get().destinations.all()
    assert [(one.server.name, one.weight, one.backup) for one in found] == kept


@pytest.mark.parametrize("path", ["relative.pem", "/a b.pem", "/a;b", "/a\nb", "/a/../b", "/", "/a{", '/a"'])
def test_paths_of_certificates_are_plain(admin_client, web, path):
    body = data(web, certificate_kind="paths", certificate_path=path, key_path="/etc/ssl/key.pem")
    assert "certificate_path" in post(admin_client, NEW, body).json()["errors"]


def test_what_belongs_to_another_certificate_counts_for_nothing_and_a_program_hears_so(admin_client, web):
    more = {"certificate_path": "/c.pem", "key_path": "/k.pem", "force_https": True, "https_port": 8443}
    answer = post(admin_client, NEW, data(web, **more))
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == set(more)
    assert not HostnameForward.objects.exists()
    body = {name: value for name, value in data(web).items() if value not in (None, False)}
    assert (
        admin_client.post(NEW, {**body, **more, "force_https": "on"}).status_code == 302
    )  # the page hides it
    kept = HostnameForward.objects.get()
    assert (kept.certificate_path, kept.key_path, kept.force_https) == ("", "", False)


def test_a_program_changes_what_it_names_and_nothing_else(admin_client, web):
    """Also destinations, a box that is ticked, and one that a change of something else makes void."""
    more = {
        "certificate_kind": "paths",
        "certificate_path": "/c.pem",
        "key_path": "/k.pem",
        "force_https": True,
    }
    pk = post(admin_client, NEW, data(web, websockets=True, **more)).json()["id"]
    before: dict[str, Any] = {**HostnameForward.objects.values().get()}
    assert post(admin_client, f"/forwarding/hostnames/{pk}/edit/", {"note": "x"}).json()["ok"]
    after: dict[str, Any] = {**HostnameForward.objects.values().get()}
    assert {name for name in after if after[name] != before[name]} == {"note", "version"}
    assert [row.server for row in HostnameForward.objects.get().destinations.all()] == [web.web1]
    assert post(admin_client, f"/forwarding/hostnames/{pk}/edit/", {"certificate_kind": "none"}).json()["ok"]
    assert not HostnameForward.objects.get().force_https


def test_what_the_form_shows_a_program_may_send_back_with_one_value_changed(admin_client, web):
    rows = {"destinations_weight": [3, 7], "destinations_spare": [False, True]}
    body = data(web, destinations=[web.web1.pk, web.web2.pk], **rows)
    url = post(admin_client, NEW, body).json()["url"] + "edit/"
    shown = admin_client.get(url, headers=JSON).json()
    assert shown["initial"]["destinations_weight"] == ["3", "7"]
    assert shown["fields"]["destinations_spare"]["required"] is False
    answer = post(admin_client, url, {**shown["initial"], "note": "x"})
    assert answer.status_code == 200, answer.json()
    row = HostnameForward.objects.get()
    assert (row.note, row.certificate_kind, row.https_port) == ("x", "none", 443)
    kept = [(one.server, one.weight, one.backup) for one in row.destinations.all()]
    assert kept == [(web.web1, 3, False), (web.web2, 7, True)]


@pytest.mark.parametrize("said", [None, ""])
@pytest.mark.parametrize("name", ["certificate_kind", "port", "https_port", "body_size", "balancing"])
def test_a_programs_nothing_is_no_wish_for_the_usual_value(admin_client, web, name, said):
    """A value that was never set took a site's HTTPS away, or moved it to another port."""
    more = {"certificate_kind": "paths", "certificate_path": "/c.pem", "key_path": "/k.pem", "body_size": 0}
    pk = post(admin_client, NEW, data(web, **more, port=8080, https_port=8443, balancing="ip_hash")).json()[
        "id"
    ]
    before = HostnameForward.objects.values().get()
    answer = post(admin_client, f"/forwarding/hostnames/{pk}/edit/", {name: said})
    assert (answer.status_code, name in answer.json()["errors"]) == (422, True)
    assert HostnameForward.objects.values().get() == before
    new = {**data(web, domain="b.example.org"), name: said}
    assert post(admin_client, NEW, new).json()["ok"]  # there it is as usual


def test_a_hostname_stays_on_its_host_and_a_program_that_names_another_hears_so(admin_client, web):
    row = made(web)
    proxmox = {"is_proxmox": True, "proxmox_node": "pve9", "external_interface": "eth0"}
    other = Server.objects.create(name="pve9", keymanager_name="pve9", nginx_server=web.web2, **proxmox)
    for url, body in (
        (f"/forwarding/hostnames/{row.pk}/edit/", {"host": other.pk}),
        (f"{NEW}?host={row.host_id}", data(web, domain="else.example.org", host=other.pk)),
    ):
        refused = post(admin_client, url, body)
        assert (refused.status_code, list(refused.json()["errors"])) == (422, ["host"])
    assert (
        post(admin_client, f"/forwarding/hostnames/{row.pk}/edit/", {"host": row.host_id}).status_code == 200
    )
    assert HostnameForward.objects.count() == 1


def test_a_server_that_is_no_guest_needs_a_host(admin_client, web):
    body = data(web, destinations=[web.backup1.pk])
    assert "host" in post(admin_client, NEW, body).json()["errors"]
    assert post(admin_client, NEW, {**body, "host": web.pve1.pk}).json()["ok"]


def test_what_a_service_refuses_is_told_by_the_field_and_the_rows_stay(admin_client, web):
    made(web)
    answer = admin_client.post(NEW, typed(web))
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "is on port 80 of proxy already" in page
    assert f'<option value="{web.web2.pk}" selected>' in page
    assert 'value="3"' in page


def test_the_diff_is_shown_before_and_nothing_is_saved(admin_client, web):
    answer = admin_client.post(NEW, typed(web, preview="1"))
    assert answer.status_code == 200
    assert "server_name &quot;www.example.org&quot;" in answer.content.decode()
    assert (
        "10.0.0.103:8000"
        in post(admin_client, NEW, data(web, **typed(web, preview="1"))).json()["difference"]
    )
    assert not HostnameForward.objects.exists()
    assert not Rollout.objects.exists()
    hostname = made(web)
    url = reverse("forwarding:edit_hostname", args=[hostname.pk])
    changed = post(admin_client, url, data(web, destination_port=8001, preview="1")).json()["difference"]
    assert "+    server 10.0.0.102:8001" in changed
    assert "-    server 10.0.0.102:80" in changed


def test_the_panels_own_name_asks_for_a_second_word(admin_client, web, settings):
    settings.GESTION_URL = "https://www.example.org/"
    answer = admin_client.post(NEW, typed(web))
    assert answer.status_code == 422
    assert "Yes, do it all the same" in answer.content.decode()
    assert admin_client.post(NEW, typed(web, confirm="on")).status_code == 302
    hostname = HostnameForward.objects.get()
    delete = reverse("forwarding:delete_hostname", args=[hostname.pk])
    assert "Gestion itself" in admin_client.get(delete).content.decode()
    assert admin_client.post(delete).status_code == 422
    switch = reverse("forwarding:switch_hostname", args=[hostname.pk])
    assert admin_client.post(switch).status_code == 422
    assert admin_client.post(switch, {"confirm": "on"}).status_code == 302
    assert not HostnameForward.objects.get().active


def test_from_a_server_page_host_and_destination_are_filled_in(admin_client, web):
    page = admin_client.get(f"{NEW}?destination={web.web2.pk}").content.decode()
    assert f'<option value="{web.web2.pk}" selected>' in page
    assert 'name="host"' not in page
    page = admin_client.get(f"{NEW}?host={web.pve1.pk}").content.decode()
    assert 'name="host"' not in page
    assert "web1 – 10.0.0.102" in page
    assert 'name="host"' in admin_client.get(f"{NEW}?host=x&destination=٣").content.decode()


def test_without_any_nginx_server_it_is_said_what_to_do(admin_client, rows):
    assert "No Proxmox host has an nginx server yet" in admin_client.get(NEW).content.decode()
    assert "no nginx server yet" in admin_client.get(rows.pve1.get_absolute_url()).content.decode()


def test_the_server_pages_show_its_hostnames(admin_client, web):
    made(web)
    for server in (web.pve1, web.proxy, web.web1):
        page = admin_client.get(server.get_absolute_url()).content.decode()
        assert "www.example.org" in page
        assert NEW in page
    assert "www.example.org" not in admin_client.get(web.web2.get_absolute_url()).content.decode()
    assert NEW not in admin_client.get(web.backup1.get_absolute_url()).content.decode()


def test_a_page_says_which_ports_nobody_reaches_from_outside(admin_client, web):
    hostname = made(web)
    page = admin_client.get(hostname.get_absolute_url()).content.decode()
    assert "No port of pve1 leads to port 80 of proxy" in page
    link = f"/forwarding/ports/new/?destination={web.proxy.pk}&port=80"
    assert link.replace("&", "&amp;") in page
    assert 'name="ports" value="80"' in admin_client.get(link).content.decode()
    web.rule("8080", to=web.proxy).save()
    page = admin_client.get(hostname.get_absolute_url()).content.decode()
    assert "No port" not in page
    assert "http://www.example.org:8080/" in page


def test_what_nginx_left_out_is_said_on_the_page_the_list_and_the_dashboard(admin_client, web):
    hostname = made(web)
    HostnameForward.objects.update(left_out="cannot load certificate <x>")
    assert (
        "cannot load certificate &lt;x&gt;" in admin_client.get(hostname.get_absolute_url()).content.decode()
    )
    assert "left out" in admin_client.get("/forwarding/hostnames/").content.decode()
    assert "nginx serves without www.example.org" in admin_client.get("/").content.decode()
    found = admin_client.get("/forwarding/hostnames/?state=left-out", headers=JSON).json()
    assert found["total"] == 1


@pytest.mark.services
def test_the_list_searches_names_destinations_and_ports(admin_client, web):
    made(web, web.web1, web.web2)
    made(web, domain="xn--bcher-kva.example.org", port=8080, note="books")

    def found(query: str) -> int:
        return admin_client.get(f"/forwarding/hostnames/?{query}", headers=JSON).json()["total"]

    words = ("www", "bücher.example.org", "books", "web1", "web2 www", "pve1 example", "8080", "nothing")
    assert [found(f"q={word}") for word in words] == [1, 1, 1, 2, 1, 2, 1, 0]
    assert found(f"host={web.pve1.pk}&certificate=none&state=on") == 2
    assert found("state=off") == 0
    hits = admin_client.get("/search/?q=bücher.example.org").content.decode()
    assert "bücher.example.org" in hits


def test_the_list_takes_a_constant_number_of_queries(admin_client, web, django_assert_max_num_queries):
    for number in range(40):
        made(web, web.web1, web.web2, domain=f"www{number}.example.org")
    with django_assert_max_num_queries(12):
        admin_client.get("/forwarding/hostnames/")
    with django_assert_max_num_queries(60):  # every room has a panel there
        admin_client.get(web.pve1.get_absolute_url())


def test_owners_see_the_hostnames_of_their_servers_and_change_none(member_client, member, web):
    mine = made(web)
    other = made(web, web.web2, domain="b.example.org")
    assert member_client.get(mine.get_absolute_url()).status_code == 404
    web.web1.owners.add(member)
    assert member_client.get("/forwarding/hostnames/", headers=JSON).json()["total"] == 1
    assert member_client.get(mine.get_absolute_url()).status_code == 200
    assert member_client.get(other.get_absolute_url()).status_code == 404
    for name in ("edit_hostname", "switch_hostname", "delete_hostname"):
        assert member_client.post(reverse(f"forwarding:{name}", args=[mine.pk])).status_code == 403
    assert member_client.post(NEW, data(web)).status_code == 403


@pytest.mark.services
def test_of_two_admins_the_second_is_told(admin_client, web):
    hostname = made(web)
    url = reverse("forwarding:edit_hostname", args=[hostname.pk])
    assert 'name="version" value="1"' in admin_client.get(url).content.decode()
    assert admin_client.post(url, typed(web, version=1)).status_code == 302
    late = admin_client.post(url, typed(web, version=1, note="late"))
    assert late.status_code == 422
    assert "Somebody else has changed this hostname" in late.content.decode()


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
DOMAINS = TEXT | st.from_regex(
    r"(\*\.)?[a-zA-Z0-9ü_-]{1,9}(\.[a-z0-9;{}$ \n#\"'\\-]{1,9}){1,3}", fullmatch=True
)
PATHS = TEXT | st.from_regex(r"(/[a-z.;{} \n$\"'\\]{1,9}){1,3}", fullmatch=True)


class Hostile(TestCase):
    """Whatever is typed into the form, what is kept of it has one plain form."""

    @settings(max_examples=200, deadline=None)
    @given(DOMAINS, st.tuples(PATHS, PATHS), TEXT, st.tuples(st.text(max_size=8), st.text(max_size=8)))
    def test_typed(self, domain, paths, note, numbers):
        host = Server.objects.create(name="pve1", is_proxmox=True, proxmox_node="n", external_interface="e0")
        guest = Server.objects.create(name="web1", is_vm=True, vm_host=host, internal_ip="10.0.0.2")
        proxy = Server.objects.create(name="proxy", is_vm=True, vm_host=host, internal_ip="10.0.0.3")
        Server.objects.filter(pk=host.pk).update(nginx_server=proxy)
        form = HostnameForm(
            {
                "domain": domain,
                "destinations": [guest.pk],
                "destinations_weight": [numbers[1]],
                "certificate_kind": "paths" if paths[0] else "none",
                "certificate_path": paths[0],
                "key_path": paths[1],
                "note": note,
                "port": numbers[0],
            }
        )
        form.is_valid()
        made = None
        if not form.errors:
            with form.told():
                filled = form.filled()
                made = create_hostname(
                    Actor.system("x"), filled, form.cleaned_data["destinations"], confirmed=True
                )
        assert (made is None) == bool(form.errors)
        if made is not None:
            plain = set("abcdefghijklmnopqrstuvwxyz0123456789-.*")
            assert set(made.domain) <= plain
            assert made.domain.count("*") == made.domain.startswith("*.")
            kept = made.certificate_path + made.key_path
            assert all(letter.isascii() and (letter.isalnum() or letter in "/._@+-") for letter in kept)
            assert _structure(made) == _structure(_plain(made))


def _plain(made: HostnameForward) -> HostnameForward:
    """The same hostname, as if somebody had typed nothing special."""
    made = HostnameForward.objects.get(pk=made.pk)
    made.domain, made.port, made.note = "www.example.org", 80, ""
    if made.certificate_path:
        made.certificate_path, made.key_path = "/c.pem", "/k.pem"
    return made


def _structure(made: HostnameForward) -> list[tuple[str, ...]]:
    """The directives of its file on the nginx server, line by line, without their values."""
    lines = text_of(made).splitlines()
    return [(line.split(" ")[0], *(sign for sign in line if sign in "{};\"'\\#")) for line in lines]


def test_a_hostname_whose_servers_do_not_answer_is_not_green(admin_client, web):
    pk = post(admin_client, NEW, data(web, destinations=[web.web1.pk, web.web2.pk])).json()["id"]
    Rollout.objects.update(state="in_sync")
    pages = ("/forwarding/hostnames/", f"/forwarding/hostnames/{pk}/", web.web1.get_absolute_url())
    for contacts, words in ((("ok", "ok"), ">active<"), (("unreachable", "ok"), "1 of 2 servers unreachable"),
                            (("unreachable", "unreachable"), "server unreachable")):  # fmt: skip
        for server, contact in zip((web.web1, web.web2), contacts, strict=True):
            Server.objects.filter(pk=server.pk).update(contact=contact)
        for page in pages:
            assert words in admin_client.get(page).content.decode(), (page, contacts)
    Server.objects.update(contact="ok")
    host = HostnameForward.objects.get(pk=pk).host
    assert host.nginx_server
    for server, words in ((host, "host unreachable"), (host.nginx_server, "nginx server unreachable")):
        Server.objects.filter(pk=server.pk).update(contact="unreachable")
        for page in pages:
            assert words in admin_client.get(page).content.decode(), (page, words)
