"""Certificates that come by themselves: rows, jobs and a real authority (pebble); the nginx server is in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.test import RequestFactory
from django.utils import timezone

from accounts.models import AuditEntry
from forwarding import ordering, shell_certificates
from forwarding.desired_acme import FOLDER
from forwarding.models import (
    AcmeAccount,
    AcmeChallenge,
    CertificateOrder,
    HostnameDestination,
    HostnameForward,
    Source,
    StoredCertificate,
)
from forwarding.services.certificates import (
    OrderRefused,
    order_certificate,
    pair_of,
    start_order,
    store_certificate,
)
from forwarding.works_certificates import due, start_orders
from jobs.masking import Masker
from jobs.models import Job, JobLine, JobState
from jobs.pulse import pulse
from jobs.run import Run
from servers.models import HostKey, Rollout, RolloutState, Server
from tests.forwarding import pebble
from tests.forwarding.answerer import Answerer
from tests.forwarding.made_certificates import pair
from tests.jobs.working import work_off
from tests.servers import fleet as memory

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "www.example.org"
NGINX = "root@proxy"
ORDERED = "Added order"  # in the log of pebble


@pytest.fixture(scope="module")
def answerer() -> Iterator[Answerer]:
    """Serves what lies on the nginx server in memory."""

    def look(token: str) -> str | None:
        machine = memory.FLEET.machines.get(NGINX)
        found = machine.host.read(f"{FOLDER}/{token}") if machine else None
        return found.decode() if found else None

    made = Answerer(look)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def acme(answerer, tmp_path_factory) -> Iterator[pebble.Pebble]:
    with pebble.running(tmp_path_factory.mktemp("pebble"), answerer.port) as made:
        yield made


@dataclass
class World:
    """A hostname that wants its certificate, on an nginx server in memory."""

    hostname: HostnameForward
    nginx: Server
    machine: memory.Machine

    @property
    def order(self) -> CertificateOrder:
        return CertificateOrder.objects.get(hostname=self.hostname)

    @property
    def stored(self) -> StoredCertificate | None:
        return StoredCertificate.objects.filter(hostname=self.hostname).first()

    @property
    def challenges(self) -> list[str]:
        """The files that lie on the nginx server for authorities."""
        folder = self.machine.host.path(FOLDER)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def later(self) -> None:
        """Have the next try's time come."""
        CertificateOrder.objects.update(next_try_at=timezone.now(), not_before=None)


@pytest.fixture
def world(rows, acme, settings) -> Iterator[World]:
    settings.SERVERS_TRANSPORT = memory.PATH
    settings.ACME_DIRECTORY, settings.ACME_CA_FILE = acme.directory, acme.ca_file
    memory.FLEET.machines.clear()
    Server.objects.filter(pk=rows.proxy.pk).update(ssh_connection=NGINX)
    Server.objects.filter(pk=rows.pve1.pk).update(nginx_server=rows.proxy)
    machine = memory.FLEET.add(NGINX)
    HostKey.objects.create(
        server=rows.proxy, key=machine.key.key, fingerprint=machine.key.fingerprint, pinned_at=timezone.now()
    )
    hostname = HostnameForward.objects.create(host=rows.pve1, domain=NAME, certificate_kind="acme")
    HostnameDestination.objects.create(hostname=hostname, server=rows.web1)
    acme.point(NAME, "127.0.0.1")
    yield World(hostname, Server.objects.get(pk=rows.proxy.pk), machine)
    pulse.stop()
    memory.FLEET.machines.clear()


def run_orders() -> list[Job]:
    """What the schedule starts, carried out; gives the orders."""
    start_orders()
    return [job for job in work_off() if job.work == "forwarding.order_certificate"]


def notices(admin) -> list[tuple[str, str]]:
    request = RequestFactory().get("/")
    request.user = admin
    return [(one.level, one.text) for one in shell_certificates.attention(request)]


def test_a_hostname_gets_its_certificate_and_nginx_gets_both(world, admin):
    assert [job.state for job in run_orders()] == [JobState.DONE]
    assert world.stored.names == [NAME]
    assert world.stored.source == Source.ACME
    assert "Pebble" in world.stored.issuer
    key = world.machine.host.path(f"/etc/nginx/gestion/certificates/{world.hostname.pk}.key")
    assert key.read_text() == world.stored.key
    assert key.stat().st_mode & 0o777 == 0o600
    assert world.challenges == []
    assert not AcmeChallenge.objects.exists()
    assert (world.order.uri, world.order.key, world.order.job, world.order.next_try_at) == (
        "",
        "",
        None,
        None,
    )
    assert notices(admin) == []
    assert run_orders() == []  # and all is quiet


def test_a_third_before_its_end_it_is_renewed(world):
    run_orders()
    first = world.stored
    left, all_ = first.not_after - first.renew_at, first.not_after - first.not_before
    assert abs(left - all_ / 3) < timedelta(seconds=2)
    StoredCertificate.objects.update(renew_at=timezone.now())
    assert [job.state for job in run_orders()] == [JobState.DONE]
    assert world.stored.fingerprint != first.fingerprint
    assert world.stored.key != first.key
    assert AcmeAccount.objects.count() == 1
    assert AuditEntry.objects.filter(verb="hostname.certificate", actor_name="acme").count() == 2


def test_a_name_that_leads_elsewhere_is_told_tried_later_and_mended(world, acme, admin):
    acme.point(NAME, "127.0.0.2")
    (job,) = run_orders()
    assert job.state == JobState.FAILED
    assert NAME in job.error
    assert world.challenges == []
    assert world.order.failures == 1
    assert timedelta(minutes=50) < world.order.next_try_at - timezone.now() < timedelta(minutes=70)
    ((level, text),) = notices(admin)
    assert level == "danger"
    assert "gets no certificate" in text
    assert run_orders() == []  # nobody hammers at the authority
    world.later()
    run_orders()
    assert world.order.failures == 2
    assert world.order.next_try_at - timezone.now() > timedelta(minutes=100)
    job.refresh_from_db()
    assert job.acknowledged_at  # only the last one still wants to be looked at
    acme.point(NAME, "127.0.0.1")
    world.later()
    assert [job.state for job in run_orders()] == [JobState.DONE]
    assert notices(admin) == []
    assert not Job.objects.unacknowledged().exists()


def test_while_the_authority_is_down_the_old_certificate_stays(world, admin, settings, acme):
    run_orders()
    first = world.stored
    StoredCertificate.objects.update(renew_at=timezone.now() - timedelta(days=1))
    settings.ACME_DIRECTORY = "https://127.0.0.1:1/dir"
    (job,) = run_orders()
    assert "cannot be reached" in job.error
    assert world.stored.fingerprint == first.fingerprint
    assert pair_of(HostnameForward.objects.get())
    assert world.order.next_try_at - timezone.now() < timedelta(minutes=12)
    ((level, text),) = notices(admin)
    assert level == "warning"
    assert "could not be renewed" in text
    settings.ACME_DIRECTORY = acme.directory
    world.later()
    run_orders()
    assert world.stored.fingerprint != first.fingerprint


def test_an_nginx_server_that_is_away_costs_no_failed_proof(world, answerer, acme):
    world.machine.down = True
    before, ordered = len(answerer.asked), acme.log.count(ORDERED)
    (job,) = run_orders()
    assert job.state == JobState.FAILED
    assert "proxy" in job.error
    assert len(answerer.asked) == before
    world.machine.down = False
    Rollout.objects.update(state=RolloutState.WAITING, retry_at=None)
    world.later()
    assert [job.state for job in run_orders()] == [JobState.DONE]
    assert acme.log.count(ORDERED) - ordered == 1


def test_what_a_dead_worker_left_is_taken_up_again(world, acme):
    """The worker dies between the order and the proof, before the authority looks, and before the certificate."""
    before = acme.log.count(ORDERED)
    for dies_at in ("Bring the proof", "Have the authority look", "Fetch the certificate"):
        hostname = HostnameForward.objects.get()
        job = order_certificate(ordering.ACTOR, hostname)
        run = DyingRun(job, Masker())
        run.dies_at = dies_at
        with pytest.raises(SystemExit):
            ordering.order_certificate(run, hostname)
        Job.objects.filter(pk=job.pk).update(state=JobState.LOST, ended_at=timezone.now())
    work_off()
    assert world.stored is None
    world.later()
    assert [job.state for job in run_orders()] == [JobState.DONE]
    assert world.stored
    assert world.challenges == []
    assert acme.log.count(ORDERED) - before == 1


class DyingRun(Run):
    """A run whose worker is killed when a step begins."""

    dies_at = ""

    def step(self, name):
        if str(name).startswith(self.dies_at):
            raise SystemExit
        return super().step(name)


@pytest.mark.services
def test_two_jobs_never_order_for_one_hostname_at_once(world):
    first, second = (Job.objects.create(work="x", title="x", actor_name="x") for _ in range(2))
    assert ordering.claim(world.hostname, first)
    assert ordering.claim(world.hostname, first)
    assert ordering.claim(world.hostname, second) is None
    Job.objects.filter(pk=first.pk).update(state=JobState.LOST)
    assert ordering.claim(world.hostname, second)


def test_a_fault_of_the_panel_itself_does_not_become_a_flood(world):
    job = Job.objects.create(work="x", title="x", actor_name="x")
    ordering.claim(world.hostname, job)
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    assert due() == []


def test_a_rate_limit_is_kept_also_by_hand(world):
    ordering.claim(world.hostname, Job.objects.create(work="x", title="x", actor_name="x"))
    ordering.note_failure(world.order, ordering.AcmeTrouble("too many", timedelta(hours=30)))
    assert world.order.next_try_at - timezone.now() > timedelta(hours=29)
    with pytest.raises(OrderRefused, match="no more requests"):
        order_certificate(ordering.ACTOR, world.hostname)
    job = start_order(ordering.ACTOR, world.hostname)  # as when an old job is run again
    work_off()
    job.refresh_from_db()
    assert "no more requests" in job.error
    assert world.order.failures == 1


def test_another_domain_is_ordered_anew_and_at_once(world, acme):
    run_orders()
    acme.point("new.example.org", "127.0.0.1")
    HostnameForward.objects.update(domain="new.example.org")
    assert pair_of(HostnameForward.objects.get()) is None  # the old one is for another name
    assert [job.state for job in run_orders()] == [JobState.DONE]
    assert world.stored.names == ["new.example.org"]


def test_what_is_switched_off_or_wants_none_is_left_alone(world):
    HostnameForward.objects.update(active=False)
    assert due() == []
    HostnameForward.objects.update(active=True, certificate_kind="uploaded")
    assert due() == []
    HostnameForward.objects.update(certificate_kind="acme")
    Server.objects.filter(is_proxmox=True).update(nginx_server=None)
    assert due() == []


def test_only_a_few_are_ordered_at_once(world, rows):
    for number in range(5):
        HostnameForward.objects.create(
            host=rows.pve1, domain=f"n{number}.example.org", certificate_kind="acme"
        )
    start_orders()
    start_orders()
    assert Job.objects.filter(work="forwarding.order_certificate").count() == 2


def test_an_uploaded_one_is_served_until_the_ordered_one_comes(world, actor):
    HostnameForward.objects.update(certificate_kind="uploaded")
    hostname = HostnameForward.objects.get()
    store_certificate(actor, hostname, *pair(NAME))
    HostnameForward.objects.update(certificate_kind="acme")
    assert pair_of(HostnameForward.objects.get())
    assert [row.pk for row in due()] == [hostname.pk]


def test_no_key_is_in_a_log_a_difference_or_the_audit_trail(world, caplog):
    caplog.set_level("DEBUG")
    run_orders()
    secrets = [world.stored.key.splitlines()[1], AcmeAccount.objects.get().key.splitlines()[1]]
    seen = [caplog.text, *JobLine.objects.values_list("text", flat=True)]
    seen += [str(row) for row in AuditEntry.objects.values_list("before", "after")]
    seen += [str(row) for row in Rollout.objects.values_list("diff", "why")]
    seen += [str(row) for row in world.nginx.rollout_records.values_list("diff", "said")]
    assert not [text for text in seen for secret in secrets if secret in text]
