"""From rows of hostnames to what their nginx server holds."""

from typing import Any

import pytest

from forwarding.desired_acme import desired as acme_desired
from forwarding.desired_hostnames import AVAILABLE, ENABLED, KIND, LEFT_OUT, SCRIPT, desired, sites_of
from forwarding.models import AcmeChallenge, HostnameForward
from forwarding.nginx_reading import read
from forwarding.nginx_sites import FOLDER, Upstream
from hosts import engine
from hosts.errors import CheckFailed
from hosts.host import Result
from hosts.memory import MemoryHost
from hosts.state import File, Link
from servers.models import Server
from tests.forwarding.hostname_rows import hostname

pytestmark = pytest.mark.django_db


@pytest.fixture
def nginx(rows) -> Server:
    """The proxy of pve1, and of pve2 as well."""
    rows.pve1.nginx_server = rows.proxy
    rows.pve1.save()
    return rows.proxy


def put(host: MemoryHost, nginx: Server) -> engine.Outcome:
    return engine.apply(host, engine.plan(host, desired(nginx)))


def test_rows_become_sites_with_the_addresses_of_their_servers(rows, nginx):
    outside = Server.objects.create(name="db.example.net", keymanager_name="db")
    hostname(rows.pve1, "www.example.org", rows.web1, rows.backup1, outside, weights=(3, 1, 1), spare=1)
    (site,) = sites_of(nginx).good
    assert site.upstreams == (
        Upstream("10.0.0.102", 3),
        Upstream("198.51.100.11"),
        Upstream("db.example.net", backup=True),
    )


def test_all_hosts_that_share_an_nginx_server_are_in_it(rows, nginx):
    proxmox = {"is_proxmox": True, "proxmox_node": "pve2", "external_interface": "eth0"}
    pve2 = Server.objects.create(name="pve2", keymanager_name="pve2", nginx_server=nginx, **proxmox)
    hostname(rows.pve1, "a.example.org", rows.web1)
    hostname(pve2, "b.example.org", rows.backup1)
    hostname(pve2, "off.example.org", rows.backup1, active=False)
    assert [site.domain for site in sites_of(nginx).good] == ["a.example.org", "b.example.org"]


def test_a_row_that_cannot_be_served_does_not_keep_the_others_from_it(rows, nginx):
    bad = hostname(rows.pve1, "bad.example.org")
    evil = hostname(rows.pve1, "evil.example.org; }", rows.web1)
    good = hostname(rows.pve1, "good.example.org", rows.web1)
    sites = sites_of(nginx)
    assert [site.pk for site in sites.good] == [good.pk]
    assert set(sites.refused) == {bad.pk, evil.pk}
    assert "evil" not in "".join(str(item.content) for item in desired(nginx).items if isinstance(item, File))


@pytest.mark.parametrize("path", ["/etc/ssl/$host.pem", "/etc/ssl/a\n.pem", "/etc/ssl/a\x7f.pem"])
def test_a_row_whose_file_cannot_be_written_is_told_and_the_others_are_served(rows, nginx, path):
    good = hostname(rows.pve1, "good.example.org", rows.web1)
    bad = hostname(
        rows.pve1, "bad.example.org", rows.web1, certificate_kind="paths", certificate_path=path, key_path=path,
        is_default=True,
    )  # fmt: skip
    state = desired(nginx)
    assert [site.pk for site in sites_of(nginx).good] == [good.pk]
    assert len(state.left_out) == 1
    assert str(bad) in state.left_out[0]
    assert all(f"/sites/{bad.pk}.conf" not in item.path for item in state.items)


def test_a_challenge_that_cannot_be_written_keeps_no_other_from_its_authority(rows, nginx):
    row = hostname(rows.pve1, "good.example.org", rows.web1)
    token, content = "t" * 20, f"{'t' * 20}.{'k' * 20}"
    for one in (token, "../../../etc/cron.d/x"):
        AcmeChallenge.objects.create(nginx=nginx, hostname=row, token=one, content=content)
    state = acme_desired(nginx)
    assert state
    assert [item.path.rpartition("/")[2] for item in state.items] == [token]
    assert len(state.left_out) == 1


def test_spare_servers_answer_where_no_other_has_an_address(rows, nginx):
    nowhere = Server.objects.create(name="vm", keymanager_name="vm", is_vm=True, vm_host=rows.pve1)
    hostname(rows.pve1, "a.example.org", nowhere, rows.web1, spare=1)
    assert sites_of(nginx).good[0].upstreams == (Upstream("10.0.0.102"),)


def test_a_certificate_that_is_still_to_come_forces_nobody_to_https(rows, nginx):
    hostname(rows.pve1, "a.example.org", rows.web1, certificate_kind="acme", force_https=True)
    (site,) = sites_of(nginx).good
    assert site.certificate is None
    assert not site.forces_https


def test_paths_on_the_nginx_server_are_used_as_they_are(rows, nginx):
    kind: Any = {
        "certificate_kind": "paths",
        "certificate_path": "/etc/ssl/a.pem",
        "key_path": "/etc/ssl/a.key",
    }
    row = hostname(rows.pve1, "a.example.org", rows.web1, **kind)
    contents = {item.path: item.content for item in desired(nginx).items if isinstance(item, File)}
    text = contents[f"{FOLDER}/sites/{row.pk}.conf"].decode()
    assert 'ssl_certificate "/etc/ssl/a.pem";' in text
    assert not any("/certificates/" in path for path in contents)


def test_the_state_has_the_seeds_file_and_its_link(rows, nginx):
    hostname(rows.pve1, "a.example.org", rows.web1)
    state = desired(nginx)
    kept = {item.path: item for item in state.items}
    assert state.kind == KIND
    assert kept[ENABLED] == Link(ENABLED, AVAILABLE)
    assert isinstance(kept[AVAILABLE], File)


def test_the_engine_checks_applies_and_proves_and_then_finds_nothing_to_do(rows, nginx):
    hostname(rows.pve1, "a.example.org", rows.web1)
    host = MemoryHost()
    put(host, nginx)
    assert host.ran[0] == (SCRIPT, "status")
    assert host.ran[1][2] == "check"
    assert host.ran[2:] == [(SCRIPT, "apply"), (SCRIPT, "status")]
    assert engine.plan(host, desired(nginx)).empty


def test_an_nginx_that_is_broken_by_others_is_told_and_nothing_is_changed(rows, nginx):
    hostname(rows.pve1, "a.example.org", rows.web1)
    host = MemoryHost(answers={("sh",): Result(1, b"", b"for reasons that are not from Gestion\n")})
    with pytest.raises(CheckFailed, match="not from Gestion"):
        put(host, nginx)
    assert host.read(AVAILABLE) is None


def test_with_the_last_hostname_all_files_go(rows, nginx):
    row = hostname(rows.pve1, "a.example.org", rows.web1)
    host = MemoryHost()
    put(host, nginx)
    HostnameForward.objects.filter(pk=row.pk).update(active=False)
    put(host, nginx)
    assert host.read(AVAILABLE) is None
    assert host.read(SCRIPT) is None
    assert "gestion-nginx-again.timer" in host.ran[-1][2]


def test_a_seeds_file_that_is_there_already_is_asked_about_its_link_is_taken_as_it_is(rows, nginx):
    hostname(rows.pve1, "a.example.org", rows.web1)
    host = MemoryHost({AVAILABLE: b"server {}\n"})
    host.path(ENABLED).parent.mkdir(parents=True)
    host.path(ENABLED).symlink_to(AVAILABLE)
    assert engine.plan(host, desired(nginx)).foreign == (AVAILABLE,)


def test_what_the_host_left_out_is_noted_by_the_hostname_until_it_is_served(rows, nginx):
    good = hostname(rows.pve1, "a.example.org", rows.web1)
    bad = hostname(rows.pve1, "b.example.org", rows.web1)
    default = hostname(rows.pve1, "c.example.org", rows.web1, is_default=True)
    none = hostname(rows.pve1, "d.example.org")
    words = (
        f"{bad.pk} cannot load certificate \x1b[1m\n0-port-80 a duplicate default server\n0-names x\n999 y\n"
    )
    host = MemoryHost({LEFT_OUT: words.encode()})
    said = read(nginx, host)
    told = dict(HostnameForward.objects.values_list("pk", "left_out"))
    assert told[good.pk] == ""
    assert told[bad.pk] == "cannot load certificate  [1m"
    assert "duplicate default" in told[default.pk]
    assert "no server" in told[none.pk]
    assert said.startswith("Left out:")
    assert "b.example.org: cannot load certificate" in said
    host.write(LEFT_OUT, b"")
    none.delete()
    assert read(nginx, host) == ""
    assert set(HostnameForward.objects.values_list("left_out", flat=True)) == {""}


def test_of_many_that_were_left_out_the_rest_is_counted(admin_client, rows):
    for number in range(7):
        hostname(rows.pve1, f"h{number}.example.org", rows.web1)
    HostnameForward.objects.update(left_out="no certificate")
    page = admin_client.get("/").content.decode()
    assert page.count("nginx serves without h") == 5
    assert "nginx serves without 2 more hostnames" in page


def test_the_rows_of_many_hostnames_are_read_by_few_queries(rows, nginx, django_assert_max_num_queries):
    for number in range(30):
        hostname(rows.pve1, f"h{number}.example.org", rows.web1, rows.backup1)
    with django_assert_max_num_queries(4):
        sites_of(nginx)
