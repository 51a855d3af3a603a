"""Certificates that lie on the nginx server: read by the host's own tools, the key never leaving it."""

import subprocess
from pathlib import Path

import pytest
from django.utils import timezone

from forwarding.certificate_files import read
from forwarding.models import CertificateReading, HostnameForward
from forwarding.works_certificates import readings_due, start_readings
from hosts.host import Result
from servers.models import Contact, HostKey, Server
from tests.forwarding.made_certificates import DAY, new_key, pair, pem_of
from tests.jobs.working import work_off
from tests.servers import fleet as memory

NAME = "www.example.org"


class LocalHost:
    """Runs what it is told on this machine, in a folder that stands for /etc/ssl."""

    name = "local"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said = b""

    def run(self, argv, **_options) -> Result:
        done = subprocess.run(
            [word.replace("/etc/ssl", str(self.folder)) for word in argv],
            capture_output=True, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        self.said += done.stdout + done.stderr
        return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def host(tmp_path) -> LocalHost:
    chain, key = pair(NAME)
    (tmp_path / "a.pem").write_text(chain)
    (tmp_path / "a.key").write_text(key)
    return LocalHost(tmp_path)


def found(host, name=NAME):
    return read(host, "/etc/ssl/a.pem", "/etc/ssl/a.key", name, timezone.now())


def test_a_good_pair_is_read_and_its_key_stays_there(host):
    got = found(host)
    assert got.trouble == ""
    assert got.facts.names == (NAME,)
    secret = (host.folder / "a.key").read_text().splitlines()[1].encode()
    assert secret not in host.said


def test_what_is_wrong_is_said(host):
    assert "but for www.example.org" in found(host, "other.example.org").trouble
    (host.folder / "a.key").write_text(pem_of(new_key(5)))
    assert "not the key" in found(host).trouble
    (host.folder / "a.key").write_text(pem_of(new_key(), password=b"hidden"))
    assert "key cannot be read" in found(host).trouble
    (host.folder / "a.key").unlink()
    assert "key cannot be read" in found(host).trouble
    (host.folder / "a.pem").write_text("nothing")
    assert "no certificate" in found(host).trouble
    (host.folder / "a.pem").unlink()
    got = found(host)
    assert got.facts is None
    assert "No such file" in got.trouble


def test_an_ended_one_is_read_with_its_last_day(host):
    now = timezone.now()
    (host.folder / "a.pem").write_text(pair(NAME, begins=now - 9 * DAY, ends=now - DAY)[0])
    got = found(host)
    assert "ended" in got.trouble
    assert got.facts.not_after < now


@pytest.mark.django_db(transaction=True)
def test_what_is_due_is_read_and_kept(web, settings):
    settings.SERVERS_TRANSPORT = memory.PATH
    machine = memory.FLEET.add("root@proxy")
    Server.objects.filter(pk=web.proxy.pk).update(ssh_connection="root@proxy", contact=Contact.OK)
    HostKey.objects.create(
        server=web.proxy, key=machine.key.key, fingerprint=machine.key.fingerprint, pinned_at=timezone.now()
    )
    paths = {"certificate_kind": "paths", "certificate_path": "/etc/ssl/a.pem", "key_path": "/etc/ssl/a.key"}
    HostnameForward.objects.create(host=web.pve1, domain=NAME, **paths)
    chain, _key = pair(NAME)
    machine.host.answers({("head",): Result(0, chain.encode()), ("openssl",): Result(127)})
    start_readings()
    work_off()
    reading = CertificateReading.objects.get()
    assert (reading.names, reading.trouble) == ([NAME], "")
    assert not readings_due().exists()
    HostnameForward.objects.update(certificate_path="/etc/ssl/b.pem")
    assert readings_due().exists()
    machine.down = True
    start_readings()
    work_off()
    reading.refresh_from_db()
    assert "cannot be reached" in reading.trouble
    assert reading.certificate_path == "/etc/ssl/b.pem"
    assert not readings_due().exists()
