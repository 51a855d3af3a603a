"""What create_vm has computed is taken by others before it is used: said by the field, and computed anew."""

import json
import re
from typing import Any

import pytest
from django.test import Client

from backups.models import Backup
from forwarding.models import HostnameDestination, HostnameForward, PortForward
from forwarding.services.hostnames import create_hostname
from forwarding.services.ports import create_port_forward
from proxmox.models import InternalNetwork, Offer
from servers.models import Server
from tests.wizards.create_vm_ground import (
    OTHER,
    SYSTEM,
    TEMPLATE,
    guest_of,
    proxmox_host,
    with_backup_server,
    with_nginx,
)
from wizards.models import WizardRun

pytestmark = pytest.mark.django_db
NAME = "shop.example.org"


@pytest.fixture
def host(settings) -> Server:
    settings.CREATEVM_DEFAULT_GROUPS = []
    host = proxmox_host()
    with_nginx(host)  # 10.0.0.2
    with_backup_server()
    return host


class Browser:
    """A draft of create_vm as a browser goes through it: it sends what its page has, but for what is typed."""

    def __init__(self, client: Client, host: Server) -> None:
        self.client = client
        answer = client.post("/wizards/new/create_vm/", {"name": NAME, "host": host.pk})
        assert answer.status_code == 302, answer.content.decode()
        self.run = WizardRun.objects.latest("pk")

    def url(self, number: int) -> str:
        return f"/wizards/runs/{self.run.pk}/steps/{number}/"

    def page(self, number: int) -> "Page":
        return Page(self.client.get(self.url(number)).content.decode())

    def send(self, number: int, page: "Page", **typed: Any) -> Any:
        return self.client.post(self.url(number), {**page.fields, **typed})

    def answered(self, **typed: Any) -> None:
        """All steps, as they are proposed."""
        for number in (2, 3, 4):
            page = self.page(number)
            mine = {name: value for name, value in typed.items() if name in page.fields}
            for name in [name for name, value in mine.items() if value == "" and page.fields[name] == "on"]:
                del page.fields[name], mine[name]  # a box that is not ticked any more
            answer = self.send(number, page, **mine)
            assert answer.status_code == 302, Page(answer.content.decode()).errors

    def values(self) -> dict[str, Any]:
        self.run.refresh_from_db()
        return {name: v for number in range(4) for name, v in self.run.step_values(number).items()}


class Page:
    """What the form of a page has in its fields, and the errors by them."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.fields: dict[str, Any] = {}
        form = html[html.index('<form method="post" class="form') :]
        for tag in re.findall(r"<input[^>]*>", form):
            attrs = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
            box = attrs.get("type") in {"checkbox", "radio"}
            if "name" in attrs and not (box and " checked" not in tag):
                self.fields.setdefault(attrs["name"], attrs.get("value", "on" if box else ""))
        for name, inside in re.findall(r'<select name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL):
            chosen = re.search(r'<option value="([^"]*)" selected', inside)
            self.fields[name] = chosen[1] if chosen else ""
        for name, text in re.findall(r'<textarea name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
            self.fields[name] = text.strip("\r\n")
        found = re.findall(r'id="id_(\w+)_error">(.*?)</div>', html, re.DOTALL)
        self.errors = {name: re.sub("<[^>]*>", " ", text).strip() for name, text in found}


def take(what: str, host: Server, port: int = 103) -> None:
    """Somebody else has the first of what is proposed."""
    if what == "address":
        guest_of(host, "db.example.org", "10.0.0.3")
    if what == "guest":  # made by hand in Proxmox
        Offer.objects.filter(host=host).update(addresses=[[104, "byhand", "10.0.0.3"]])
    if what == "ssh_port":
        web = guest_of(host, "web.example.org", "10.0.0.60")
        rule = PortForward(
            host=host,
            destination=web,
            first_port=port,
            last_port=port,
            destination_first=22,
            destination_last=22,
        )
        create_port_forward(SYSTEM, rule)
    if what == "domain":
        web = guest_of(host, "web.example.org", "10.0.0.60")
        create_hostname(SYSTEM, HostnameForward(host=host, domain=NAME), [HostnameDestination(server=web)])
    if what == "backup_folder":
        there = Server.objects.get(name="backup1.example.org")
        Backup.objects.create(source=host, destination=there, destination_folder=f"/backups/{NAME}")
    if what == "template":
        Offer.objects.filter(host=host).update(templates=[[OTHER, 1]])


COMPUTED = [
    ("address", 2, "address", "10.0.0.3", "10.0.0.4", "It is taken: db.example.org."),
    ("guest", 2, "address", "10.0.0.3", "10.0.0.4", "It is taken: byhand (104) on Proxmox."),
    ("template", 2, "template", TEMPLATE, OTHER, "Select a valid choice."),
    ("ssh_port", 3, "ssh_port", "103", "104", "Port 103 of pve1.example.org is in use."),
    ("backup_folder", 4, "backup_folder", f"/backups/{NAME}", f"/backups/{NAME}-2", "has /backups/"),
]


@pytest.mark.parametrize(
    ("what", "number", "field", "old", "new", "why"), COMPUTED, ids=lambda v: str(v)[:14]
)
def test_sent_from_an_old_page_it_is_said_and_the_next_stands_there_with_all_else_that_was_typed(
    admin_client, host, *, what, number, field, old, new, why
) -> None:
    browser = Browser(admin_client, host)
    for before in range(2, number):
        assert browser.send(before, browser.page(before)).status_code == 302
    page = browser.page(number)
    assert page.fields[field] == old
    take(what, host)
    typed: dict[int, dict[str, str]] = {
        2: {"memory": "777"},
        3: {"script_arguments": "tools=vim"},
        4: {"domain_port": "81"},
    }
    answer = browser.send(number, page, **typed[number])
    assert answer.status_code == 422
    shown = Page(answer.content.decode())
    assert shown.errors.keys() == {field}
    assert why in shown.errors[field]
    assert shown.fields[field] == new
    assert typed[number].items() <= shown.fields.items()
    assert browser.send(number, shown).status_code == 302
    assert str(browser.values()[field]) == new


@pytest.mark.parametrize(
    ("what", "number", "field", "old", "new", "why"), COMPUTED, ids=lambda v: str(v)[:14]
)
def test_back_at_a_draft_it_is_said_before_and_after_the_start_and_the_next_is_offered(
    admin_client, host, *, what, number, field, old, new, why
) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    take(what, host)
    review = f"/wizards/runs/{browser.run.pk}/review/"
    told = admin_client.get(review).content.decode()
    assert "Something has changed since this was answered." in told
    assert browser.url(number) in told
    answer = admin_client.post(review)
    assert answer.url == browser.url(number)
    by_program = admin_client.post(review, headers={"accept": "application/json"})
    assert by_program.status_code == 409
    assert why in by_program.json()["errors"][field][0]
    page = browser.page(number)
    assert why in page.errors[field]
    assert page.fields[field] == new
    read = admin_client.get(browser.url(number), headers={"accept": "application/json"}).json()
    assert why in read["errors"][field][0]
    for left in range(number, 5):
        assert browser.send(left, browser.page(left)).status_code == 302
    assert str(browser.values()[field]) == new
    assert admin_client.post(review).url == browser.run.get_absolute_url()


def test_what_follows_from_it_is_computed_anew_too_and_told(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    assert browser.send(2, browser.page(2)).status_code == 302
    page = browser.page(3)
    assert page.fields["ssh_connection"] == "-p 103 root@198.51.100.9"
    take("ssh_port", host)
    shown = Page(browser.send(3, page).content.decode())
    assert (shown.fields["ssh_port"], shown.fields["ssh_connection"]) == ("104", "-p 104 root@198.51.100.9")
    assert "Computed anew; before: -p 103 root@198.51.100.9." in shown.html
    assert browser.send(3, shown).status_code == 302


def test_a_later_step_follows_the_new_address(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    take("address", host)
    assert browser.send(2, browser.page(2)).status_code == 302
    assert browser.page(3).fields["ssh_port"] == "104"
    assert browser.page(3).fields["ssh_connection"] == "-p 104 root@198.51.100.9"


CHOSEN = [
    (2, "address", "10.0.0.60", "Free is 10.0.0.3."),
    (3, "ssh_port", "160", "Free is 103."),
    (4, "domain", "web.example.org", "web.example.org"),
    (4, "backup_folder", "/backups/all", f"Free is /backups/{NAME}."),
]


@pytest.mark.parametrize(("number", "field", "value", "words"), CHOSEN)
def test_what_a_person_chose_is_kept_and_is_an_error_that_says_what_is_free(
    admin_client, host, *, number, field, value, words
) -> None:
    more = {"ssh_connection": "", "backup_connection": ""} if field == "ssh_port" else {}
    browser = Browser(admin_client, host)
    browser.answered(**{field: value}, **more)
    web = guest_of(host, "web.example.org", "10.0.0.60")
    rule = PortForward(
        host=host, destination=web, first_port=160, last_port=160, destination_first=22, destination_last=22
    )
    create_port_forward(SYSTEM, rule)
    create_hostname(SYSTEM, HostnameForward(host=host, domain=web.name), [HostnameDestination(server=web)])
    there = Server.objects.get(name="backup1.example.org")
    Backup.objects.create(source=web, destination=there, destination_folder="/backups/all")
    page = browser.page(number)
    assert (page.fields[field], words in page.errors[field]) == (value, True), page.errors
    shown = Page(browser.send(number, page).content.decode())
    assert (shown.fields[field], words in shown.errors[field]) == (value, True), shown.errors


def test_two_drafts_with_the_same_address_the_second_is_told(admin_client, host) -> None:
    first, second = Browser(admin_client, host), Browser(admin_client, host)
    first.answered()
    second.answered()
    assert first.values()["address"] == second.values()["address"] == "10.0.0.3"
    take("address", host)  # as the first one's container does
    assert "10.0.0.3" in second.page(2).errors["address"]


def test_a_name_that_is_taken_meanwhile_is_kept_and_an_error(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    Server.objects.create(name=NAME, keymanager_name=NAME)
    page = browser.page(1)
    assert (page.fields["name"], "is no VM" in page.errors["name"]) == (NAME, True)


def test_a_server_that_was_added_meanwhile_is_not_taken_over_before_somebody_has_read_so(
    admin_client, host
) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    review = f"/wizards/runs/{browser.run.pk}/review/"
    page = Page(admin_client.get(review).content.decode())
    Server.objects.create(name=NAME, keymanager_name=NAME, is_vm=True, vm_host=host)
    answer = admin_client.post(review, page.fields, follow=True).content.decode()
    assert "Something else would be done by now" in answer
    assert "is in the inventory already" in answer
    assert admin_client.post(review, Page(answer).fields).url == browser.run.get_absolute_url()


def test_taking_the_defaults_takes_those_of_now(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    take("address", host)
    answer = admin_client.post(
        browser.url(2),
        {"rest": True},
        content_type="application/json",
        headers={"accept": "application/json"},
    )
    assert answer.json()["url"].endswith("/review/"), answer.content
    assert (browser.values()["address"], browser.values()["ssh_port"]) == ("10.0.0.4", 104)


def test_an_address_left_empty_is_computed_and_follows(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered(address="")
    assert browser.values()["address"] == "10.0.0.3"
    take("address", host)
    assert browser.page(2).fields["address"] == "10.0.0.4"


def test_where_nothing_is_free_any_more_that_is_said_and_nothing_is_offered(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    InternalNetwork.objects.create(host=host, prefix_length=30)  # the host, the proxy, and no third
    page = browser.page(2)
    assert page.fields["address"] == ""
    assert page.errors["address"] == "10.0.0.3: It is taken: broadcast."


def test_what_is_proposed_is_no_markup_and_no_secret(admin_client, tmp_path) -> None:
    first = {"folder": f'{tmp_path}"><b>', "password": "s3cret words"}
    assert admin_client.post("/wizards/new/walk/", first).status_code == 302
    run = WizardRun.objects.latest("pk")
    page = admin_client.get(f"/wizards/runs/{run.pk}/steps/2/").content.decode()
    assert 'name="proposed-title" value="in ' in page
    assert '"><b>' not in page
    sent = {"title": "x", "number": "0", "proposed-title": "<b>", "proposed-number": "0", "kind": "a"}
    page = admin_client.post(f"/wizards/runs/{run.pk}/steps/2/", sent).content.decode()
    assert "<b>" not in page
    assert json.dumps("s3cret") not in page


def test_a_host_that_is_gone_leads_back_to_where_it_was_chosen(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    pages = [browser.page(number) for number in (2, 3, 4)]
    Server.objects.filter(pk=host.pk).update(nginx_server=None)
    host.guests.all().delete()
    host.delete()
    first = browser.url(1)
    for url in (browser.url(2), browser.url(3), browser.url(4), f"/wizards/runs/{browser.run.pk}/review/"):
        assert admin_client.get(url).url == first
        assert admin_client.post(url).url == first
        answer = admin_client.get(url, headers={"accept": "application/json"})
        assert (answer.status_code, answer.json()["errors"].keys()) == (409, {"host"})
    for number, page in zip((2, 3, 4), pages, strict=True):
        assert browser.send(number, page).url == first
    page = browser.page(1)
    assert page.errors.keys() == {"host"}
    assert page.fields["name"] == NAME


def test_a_run_whose_host_is_gone_can_still_be_looked_at_and_forgotten(admin_client, host) -> None:
    browser = Browser(admin_client, host)
    browser.answered()
    assert admin_client.post(f"/wizards/runs/{browser.run.pk}/review/").status_code == 302
    run = browser.run
    run.tasks.filter(slug="server").update(state="done")
    run.tasks.filter(slug="container").update(state="failed", facts={"creation": 1})
    WizardRun.objects.filter(pk=run.pk).update(state="failed", why="It is taken.")
    Server.objects.filter(pk=host.pk).update(nginx_server=None)
    host.guests.all().delete()
    host.delete()
    page = admin_client.get(run.get_absolute_url())
    assert page.status_code == 200
    for url in ("mend/", "undo/"):
        for answer in (
            admin_client.get(run.get_absolute_url() + url),
            admin_client.post(run.get_absolute_url() + url, {"confirm_lockout": "on"}),
        ):
            assert answer.status_code == 302, url
    assert admin_client.post(run.get_absolute_url() + "delete/").status_code == 302
