"""How Proxmox hosts are reached: settings, certificates, rights; and the pages of it."""

import pytest
from django.core.exceptions import ValidationError
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import AuditEntry
from jobs.models import Job, JobState
from lab.pve import Grant, Lacks, PveServer, Refuses, Token, User, World
from proxmox import rights
from proxmox.checks import check_proxmox
from proxmox.client import endpoint_of, errors, open_api
from proxmox.client.opening import access_of, login_of_settings
from proxmox.models import ProxmoxAccess
from proxmox.services import access as services
from servers.models import Server
from tests.proxmox.panel_side import ACTOR, carry_out, host_row, lines

pytestmark = pytest.mark.django_db(transaction=True)


def fresh_host(name: str = "pve1") -> Server:
    return Server.objects.create(
        name=name,
        keymanager_name=name,
        is_proxmox=True,
        proxmox_node="pve1",
        external_interface="vmbr0",
        external_ip="127.0.0.1",
    )


def try_now(server: Server) -> tuple[Job, ProxmoxAccess]:
    job = carry_out(services.try_access(ACTOR, server))
    return job, ProxmoxAccess.objects.get(server=server)


def url(server: Server, rest: str = "access/") -> str:
    return f"/proxmox/hosts/{server.pk}/{rest}"


def test_without_a_row_the_settings_say_as_whom(settings):
    server = fresh_host()
    with pytest.raises(errors.NoCredentials):
        endpoint_of(server)
    settings.PROXMOX_USER, settings.PROXMOX_PASS = "api@pam", "pw"
    assert endpoint_of(server).login.who == "api@pam"
    settings.PROXMOX_TOKEN = "app@pve!panel=a=b"
    found = endpoint_of(server)
    assert (found.login.who, found.login.secret, found.login.is_token) == ("app@pve!panel", "a=b", True)
    assert (found.address, found.port, found.node) == ("127.0.0.1", 8006, "pve1")


@override_settings(PROXMOX_TOKEN="nonsense")
def test_half_a_setting_is_none():
    assert login_of_settings() is None


def test_the_address_is_the_external_or_the_internal_ip_or_the_name():
    server = fresh_host()
    for expected, change in (("127.0.0.1", {}), ("10.0.0.1", {"internal_ip": "10.0.0.1"}), ("pve1", {})):
        Server.objects.filter(pk=server.pk).update(**change)
        server.refresh_from_db()
        with override_settings(PROXMOX_TOKEN="a@pve!b=c"):
            assert endpoint_of(server).address == expected
        Server.objects.filter(pk=server.pk).update(
            external_ip=None, **({"internal_ip": None} if expected.startswith("10") else {})
        )


def test_the_first_certificate_is_shown_and_counts_when_it_is_accepted(pve, admin_client):
    server = fresh_host()
    ProxmoxAccess.objects.create(server=server, port=pve.port, user="root@pam!panel", secret="secret")
    job, row = try_now(server)
    assert (job.state, row.tried_code) == (JobState.DONE, "certificate_unknown")
    assert row.offered_fingerprint == pve.fingerprint
    page = admin_client.get(url(server)).content.decode()
    assert pve.fingerprint in page
    assert "First contact" in page
    answer = admin_client.post(url(server, "certificate/accept/"), {"fingerprint": "AA"}, follow=True)
    assert "Another certificate" in answer.content.decode()
    admin_client.post(url(server, "certificate/accept/"), {"fingerprint": pve.fingerprint})
    job, row = try_now(server)
    assert (job.state, row.tried_code, row.accepted_by) == (JobState.DONE, "", "ada")
    assert row.guests_seen == 3
    assert AuditEntry.objects.filter(verb="proxmox_certificate.accept", object_name="pve1").exists()


def test_a_changed_certificate_stops_everything_until_it_is_accepted(pve, host):
    with PveServer(World.example()) as other:
        ProxmoxAccess.objects.update(port=other.port)
        _job, row = try_now(host)
        assert (row.tried_code, row.offered_fingerprint) == ("certificate_changed", other.fingerprint)
        ProxmoxAccess.objects.update(port=pve.port)  # the old one is back: still an admin has to say
        with pytest.raises(errors.CertificateChanged):
            open_api(host)
        services.reject_certificate(ACTOR, host)
        assert try_now(host)[0].state == JobState.DONE
        ProxmoxAccess.objects.update(port=other.port)
        try_now(host)
        services.accept_certificate(ACTOR, host, other.fingerprint)
        assert try_now(host)[0].state == JobState.DONE
    services.forget_certificate(ACTOR, host)
    assert access_of(host).fingerprint == ""
    assert pve.fingerprint != other.fingerprint


def test_a_secret_is_never_shown_nor_sent_elsewhere(host, admin_client):
    row = access_of(host)
    row.secret = "hush-hush"
    row.save()
    for path in ("access/", "access/edit/", "access/rights/"):
        for accept in ("text/html", "application/json"):
            page = admin_client.get(url(host, path), headers={"Accept": accept})
            assert page.status_code == 200
            assert "hush-hush" not in page.content.decode()
    values = {"address": "", "port": 9999, "user": "root@pam!panel", "secret": "", "version": 1}
    answer = admin_client.post(url(host, "access/edit/"), values)
    assert answer.status_code == 422
    assert "Type it again" in answer.content.decode()
    answer = admin_client.post(url(host, "access/edit/"), {**values, "secret": "other"})
    assert answer.status_code == 302
    row = ProxmoxAccess.objects.get(server=host)
    assert (row.port, row.secret, row.fingerprint, row.version) == (9999, "other", "", 2)
    entry = AuditEntry.objects.get(verb="proxmox_access.change")
    assert entry.after == {"port": 9999, "certificate": "", "secret": "changed"}
    raw = ProxmoxAccess.objects.extra(select={"raw": "secret"}).values("raw")[0]["raw"]
    assert "other" not in raw


def test_two_admins_do_not_overwrite_each_other_and_empty_goes_back_to_the_settings(host, admin_client):
    values = {"address": "", "port": access_of(host).port, "user": "", "secret": "", "version": 1}
    assert admin_client.post(url(host, "access/edit/"), values).status_code == 302
    row = ProxmoxAccess.objects.get(server=host)
    assert (row.user, row.secret) == ("", "")
    answer = admin_client.post(url(host, "access/edit/"), values)
    assert "Somebody else" in answer.content.decode()


def test_a_secret_of_nobody_is_refused_and_not_dropped(host, admin_client):
    before = access_of(host)
    values = {"address": "", "port": 8006, "user": "", "secret": "c", "version": before.version}
    page = admin_client.post(url(host, "access/edit/"), values)
    assert "Whose secret or password is it?" in page.content.decode()
    json = {"content_type": "application/json", "headers": {"Accept": "application/json"}}
    answer = admin_client.post(url(host, "access/edit/"), {"user": None, "secret": "c"}, **json)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["user"])
    assert access_of(host).secret == before.secret


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", "a b"),
        ("address", "https://pve1"),
        ("address", "x/../y"),
        ("port", "0"),
        ("port", "70000"),
        ("user", "root"),
        ("user", "root@pam!"),
        ("user", "a/b@pam"),
        ("secret", "two\nlines"),
        ("secret", "ü"),
    ],
)
def test_what_cannot_be_is_told_by_the_field(host, admin_client, field, value):
    values = {"address": "pve1", "port": 8006, "user": "a@pve!b", "secret": "c", field: value}
    answer = admin_client.post(
        url(host, "access/edit/"), values, "application/json", headers={"Accept": "application/json"}
    )
    assert answer.status_code == 422
    assert field in answer.json()["errors"]


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_no_text_that_the_form_takes_breaks_a_url_or_a_header(address, user, secret):
    from proxmox.forms.access import AccessForm

    row = ProxmoxAccess(server=Server(name="pve1"))
    form = AccessForm({"address": address, "port": "8006", "user": user, "secret": secret}, row=row)
    if form.is_valid():
        typed = form.typed
        assert not set(typed["address"]) & set(" /?#@\\\n\r[]%")
        assert not set(f"{typed['user']}{typed['secret'] or ''}") & set("\n\r\x00")
        assert typed["user"].isprintable()


def world_with(role: set[str], *, privsep: bool = True, token_has: bool = True) -> World:
    world = World.example()
    world.users["gestion@pve"] = User(
        "gestion@pve", tokens={"panel": Token("panel", "s3cr3t", privsep=privsep)}
    )
    world.roles["Gestion"] = role
    world.acl.append(Grant("/", "gestion@pve", "Gestion"))
    if token_has:
        world.acl.append(Grant("/", "gestion@pve!panel", "Gestion"))
    return world


def reached_as_token(pve: PveServer) -> Server:
    server = host_row(pve)
    ProxmoxAccess.objects.update(user="gestion@pve!panel", secret="s3cr3t")
    return server


def test_rights_are_told_one_by_one_with_their_path(admin_client):
    with PveServer(world_with({"VM.Audit", "VM.PowerMgmt", "Sys.Audit"})) as pve:
        server = reached_as_token(pve)
        job, _row = try_now(server)
        assert job.state == JobState.DONE
        assert "VM.Allocate is missing on /vms" in lines(job)
    told = admin_client.get(url(server, "access/rights/"), headers={"Accept": "application/json"}).json()
    there = {one["privilege"]: one["is_there"] for one in told["rights"]}
    assert (there["VM.Audit"], there["VM.Allocate"], there["Datastore.AllocateSpace"]) == (True, False, False)
    page = admin_client.get(url(server, "access/rights/")).content.decode()
    assert "pveum acl modify /vms" in page
    assert "Give gestion@pve!panel what is missing" in page


def test_a_separated_token_without_rights_is_explained(admin_client):
    with PveServer(world_with({"VM.Audit"}, token_has=False)) as pve:
        server = reached_as_token(pve)
        job, row = try_now(server)
    assert (job.state, row.guests_seen) == (JobState.DONE, 0)
    page = admin_client.get(url(server, "access/rights/")).content.decode()
    assert "no right at all" in page
    assert "privilege separation" in page


def test_the_commands_give_exactly_what_is_needed():
    lines_ = rights.commands("pve1", 9)
    world = World.example()
    for line in lines_:  # what pveum would do, by the words of the line
        words = line.replace("'", "").replace('"', "").split()
        if words[1:3] == ["role", "add"]:
            world.roles[words[3]] = set(words[5].split(","))
        elif words[1:3] == ["user", "add"]:
            world.users[words[3]] = User(words[3])
        elif words[1:4] == ["user", "token", "add"]:
            world.users[words[4]].tokens[words[5]] = Token(words[5], "s3cr3t")
        else:
            assert words[:3] == ["pveum", "acl", "modify"]
            for flag in ("--users", "--tokens"):
                world.acl.append(Grant(words[3], words[words.index(flag) + 1], words[-1]))
    with PveServer(world) as pve:
        server = reached_as_token(pve)
        _job, row = try_now(server)
        rows = row.rights or {}
        found = rights.compare("pve1", 9, rows)
        assert all(right.is_there for right in found)
        needed = {need.privilege for need in rights.needs("pve1")}
        assert {one for privileges in rows.values() for one in privileges} == needed
    assert not any("SDN" in line for line in rights.commands("pve1", 7))


def test_a_try_that_fails_keeps_what_it_was(host, pve, admin_client):
    assert try_now(host)[0].state == JobState.DONE
    pve.faults.add(Refuses(status=595, reason="No route to host"))
    job, row = try_now(host)
    assert (job.state, row.tried_code) == (JobState.FAILED, "node_down")
    assert "No route to host" in admin_client.get(url(host)).content.decode()
    pve.faults.clear()
    pve.faults.add(Lacks(privileges=("VM.Audit",)))
    job, row = try_now(host)
    assert (job.state, row.tried_code) == (JobState.DONE, "")


def test_the_try_button_starts_a_job_and_waits_for_nothing(host, pve, admin_client):
    answer = admin_client.post(url(host, "access/try/"), headers={"Accept": "application/json"})
    assert Job.objects.get(pk=answer.json()["job"]).state == JobState.WAITING


def test_a_missing_secret_is_told_by_the_field():
    server = fresh_host()
    with pytest.raises(ValidationError) as refused:
        services.save_access(ACTOR, server, address="", port=8006, user="a@pve!b", secret=None, version=0)
    assert "secret" in refused.value.message_dict
    assert not ProxmoxAccess.objects.exists()


def test_members_see_nothing_of_it(host, member_client):
    for path in ("access/", "access/edit/", "access/rights/"):
        assert member_client.get(url(host, path)).status_code == 403


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"PROXMOX_TOKEN": "nonsense"}, "proxmox.E001"),
        ({"PROXMOX_USER": "api", "PROXMOX_PASS": "x"}, "proxmox.E002"),
        ({"PROXMOX_USER": "api@pam"}, "proxmox.W003"),
    ],
)
def test_settings_that_cannot_be_are_told_at_start(values, code):
    with override_settings(**values):
        assert [one.id for one in check_proxmox()] == [code]
    assert check_proxmox() == []
