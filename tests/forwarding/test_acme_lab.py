"""Certificates by themselves on real hosts: an authority (pebble) reads the proof through the lab's own nginx."""

import contextlib
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from django.test import RequestFactory
from django.utils import timezone

from accounts.actors import Actor
from forwarding import shell_certificates
from forwarding.models import (
    CertificateOrder,
    HostnameDestination,
    HostnameForward,
    StoredCertificate,
)
from forwarding.services.certificates import store_certificate
from forwarding.services.hostnames import create_hostname
from forwarding.services.ports import create_port_forward
from forwarding.works_certificates import start_orders, start_readings
from jobs.models import Job, JobState
from lab import Fleet
from servers.models import Contact, Rollout, RolloutState, Server
from tests.forwarding import pebble
from tests.forwarding.lab_rows import enlist, rule
from tests.forwarding.made_certificates import authority, pair, text_of
from tests.jobs.working import work_off
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.lab, pytest.mark.django_db(transaction=True)]
SYSTEM = Actor.system("test")
NAME = "www.example.org"


@pytest.fixture
def rows(fleet: Fleet, lab_key) -> dict[str, Server]:
    """The lab in the inventory, ports 80 and 443 of pve1 leading to proxy, its nginx server."""
    made = enlist(fleet, lab_key)
    Server.objects.filter(pk=made["pve1"].pk).update(nginx_server=made["proxy"])
    Server.objects.update(contact=Contact.OK)
    made = {server.name: server for server in Server.objects.all()}
    for port in ("80", "443"):
        create_port_forward(SYSTEM, rule(made["pve1"], made["proxy"], port), confirmed=True)
    work_off()
    return made


@pytest.fixture
def acme(fleet: Fleet, tmp_path, settings) -> Iterator[pebble.Pebble]:
    """The authority; every name leads to pve1's outside address."""
    with pebble.running(tmp_path, 80, leads_to=fleet["pve1"].address) as made:
        settings.ACME_DIRECTORY, settings.ACME_CA_FILE = made.directory, made.ca_file
        yield made


def wanting(rows: dict[str, Server], name: str = NAME, **fields) -> HostnameForward:
    """A hostname of pve1 that leads to web1, rolled out."""
    made = HostnameForward(host=rows["pve1"], domain=name, **{"certificate_kind": "acme", **fields})
    create_hostname(SYSTEM, made, [HostnameDestination(server=rows["web1"])], confirmed=True)
    work_off()
    return made


def orders() -> list[Job]:
    start_orders()
    return [job for job in work_off(120) if job.work == "forwarding.order_certificate"]


def page(fleet: Fleet, name: str = NAME) -> str:
    """What a plain HTTP client outside gets; empty if nothing."""
    url = f"http://{fleet['pve1'].address}/"
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"Host": name}), timeout=30
        ) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def secure_page(fleet: Fleet, root: str, name: str = NAME) -> tuple[str, bytes]:
    """What a TLS client outside gets that trusts this root alone, and the certificate that it is shown."""
    context = ssl.create_default_context(cadata=root)
    with (
        socket.create_connection((fleet["pve1"].address, 443), timeout=30) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):
        secure.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
        text = b"".join(iter(lambda: secure.recv(65536), b"")).decode()
        return text, secure.getpeercert(binary_form=True) or b""


def comes(what: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
    """Whether it comes true: nginx's old workers answer a moment longer than its reload takes."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if what():
                return True
        time.sleep(0.1)
    return False


def notices(admin) -> list[str]:
    request = RequestFactory().get("/")
    request.user = admin
    return [one.level for one in shell_certificates.attention(request)]


def test_issue_renewal_failure_alarm_and_recovery(fleet, rows, acme, admin):
    hostname = wanting(rows, force_https=True)
    assert comes(lambda: "web1" in page(fleet))  # plain, and not sent on to where nothing is yet
    assert [job.state for job in orders()] == [JobState.DONE]
    assert comes(lambda: "web1" in secure_page(fleet, acme.root)[0])
    first = secure_page(fleet, acme.root)[1]
    key = fleet["proxy"].exec(["stat", "-c", "%a %U", f"/etc/nginx/gestion/certificates/{hostname.pk}.key"])
    assert key.stdout.decode().strip() == "600 root"
    assert fleet["proxy"].exec(["find", "/var/lib/gestion-acme", "-type", "f"]).stdout == b""
    assert set(Rollout.objects.filter(server=rows["proxy"]).values_list("state", flat=True)) == {
        RolloutState.IN_SYNC
    }

    StoredCertificate.objects.update(renew_at=timezone.now())
    assert [job.state for job in orders()] == [JobState.DONE]
    assert comes(
        lambda: secure_page(fleet, acme.root)[1] != first
    )  # proved in spite of the redirect to HTTPS
    text, second = secure_page(fleet, acme.root)
    assert "web1" in text

    acme.point(NAME, fleet["backup1"].address)  # where nobody serves
    StoredCertificate.objects.update(renew_at=timezone.now())
    (failed,) = orders()
    assert failed.state == JobState.FAILED
    assert notices(admin) == ["warning"]
    assert secure_page(fleet, acme.root)[1] == second
    assert orders() == []

    acme.point(NAME, fleet["pve1"].address)
    CertificateOrder.objects.update(next_try_at=timezone.now())
    assert [job.state for job in orders()] == [JobState.DONE]
    assert comes(lambda: secure_page(fleet, acme.root)[1] not in (first, second))
    assert notices(admin) == []

    fleet["proxy"].reboot()
    assert comes(lambda: "web1" in secure_page(fleet, acme.root)[0])


def test_a_name_whose_authority_is_down_stops_no_other(fleet, rows, acme):
    wanting(rows)
    assert [job.state for job in orders()] == [JobState.DONE]
    acme.stop()
    wanting(rows, "b.example.org", force_https=True)
    (failed,) = orders()
    assert "cannot be reached" in failed.error
    assert comes(lambda: "web1" in page(fleet, "b.example.org"))


def test_an_uploaded_pair_is_what_visitors_are_shown(fleet, rows):
    hostname = wanting(rows, certificate_kind="uploaded")
    store_certificate(SYSTEM, hostname, *pair(NAME))
    work_off()
    assert comes(lambda: "web1" in secure_page(fleet, text_of(authority()[0]))[0])


def test_files_on_the_nginx_server_are_read_where_they_lie(fleet, rows):
    chain, key = pair(NAME)
    for name, text in (("a.pem", chain), ("a.key", key)):
        fleet["proxy"].exec(["sh", "-c", f"cat > /etc/ssl/{name}"], stdin=text.encode())
    paths = {"certificate_path": "/etc/ssl/a.pem", "key_path": "/etc/ssl/a.key"}
    hostname = wanting(rows, certificate_kind="paths", **paths)
    start_readings()
    work_off()
    reading = HostnameForward.objects.get(pk=hostname.pk).certificate_reading
    assert (reading.names, reading.trouble) == ([NAME], "")
    assert comes(lambda: "web1" in secure_page(fleet, text_of(authority()[0]))[0])
