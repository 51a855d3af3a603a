"""The works of certificates, and what the schedule does for them."""

from datetime import timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from forwarding import certificate_files, ordering
from forwarding.acme_troubles import AcmeTrouble
from forwarding.models import CertificateKind, CertificateReading, HostnameForward
from forwarding.services.certificates import ORDER, READ, OrderRefused, start_order
from hosts.errors import HostError
from jobs import schedule, works
from jobs.models import ENDED, Job
from jobs.run import Run
from jobs.services import acknowledge, start_job
from servers.connect import connect
from servers.models import Contact, Server
from servers.words import sentence

READ_DUE = "forwarding.read_certificates_due"
READ_EVERY = timedelta(hours=6)
AT_ONCE = 2  # orders under way, so that workers have room for other jobs
SCHEDULER = Actor.system("scheduler")

works.expect(AcmeTrouble, OrderRefused, HostnameForward.DoesNotExist)


@works.register(ORDER, safe_to_repeat=True, again=True)
def order_certificate(run: Run, *, hostname: int) -> None:
    """Get a hostname's certificate."""
    row = HostnameForward.objects.select_related("host__nginx_server").get(pk=hostname)
    # Of several tries that failed only the last one still needs a look; none, once it has worked.
    acknowledge(ordering.ACTOR, Job.objects.of(row).filter(work=ORDER))
    ordering.order_certificate(run, row)


def due() -> list[HostnameForward]:
    """Hostnames whose certificate should be ordered now: there is none, or a third of its time is left."""
    now = timezone.now()
    rows = HostnameForward.objects.filter(
        Q(certificate_order=None)
        | Q(certificate_order__next_try_at=None)
        | Q(certificate_order__next_try_at__lte=now)
        | ~Q(certificate_order__domain=F("domain")),
        certificate_kind=CertificateKind.ACME,
        active=True,
        host__nginx_server__isnull=False,
    )
    wanted = rows.select_related("stored_certificate").only(
        "domain", "port", "stored_certificate__names", "stored_certificate__renew_at"
    )
    wanted = wanted.order_by(F("certificate_order__tried_at").asc(nulls_first=True), "pk")
    return [row for row in wanted if _wants_one(row)]


def _wants_one(hostname: HostnameForward) -> bool:
    stored = getattr(hostname, "stored_certificate", None)
    if stored is None or stored.renew_at is None or not stored.is_for(hostname.domain):
        return True
    return bool(stored.renew_at <= timezone.now())


def start_orders() -> None:
    """Start the orders whose turn it is, a few at once."""
    under_way = set(
        Job.objects.filter(work=ORDER).exclude(state__in=ENDED).values_list("subject_id", flat=True)
    )
    for hostname in due():
        if len(under_way) >= AT_ONCE:
            return
        if str(hostname.pk) not in under_way:
            start_order(SCHEDULER, hostname)
            under_way.add(str(hostname.pk))


@works.register(READ, safe_to_repeat=True, again=True)
def read_certificate(run: Run, *, hostname: int) -> None:
    """Read one certificate on its nginx server."""
    row = HostnameForward.objects.select_related("host__nginx_server").get(pk=hostname)
    if row.host.nginx_server is None:
        return
    try:
        _read_all(run, row.host.nginx_server, [row])
    except HostError as error:
        _note(row, None, sentence(error))
        raise


@works.register(READ_DUE, safe_to_repeat=True)
def read_certificates_due(run: Run) -> None:
    """Read every certificate whose turn it is; a server that cannot be read does not end the others' turn."""
    by_server: dict[Server, list[HostnameForward]] = {}
    for row in readings_due().select_related("host__nginx_server"):
        if row.host.nginx_server:
            by_server.setdefault(row.host.nginx_server, []).append(row)
    for server, rows in by_server.items():
        run.check_stop()
        try:
            _read_all(run, server, rows)
        except HostError as error:
            run.log(f"{server}: {sentence(error)}", "err")
            for row in rows:
                _note(row, None, sentence(error))


def _read_all(run: Run, server: Server, rows: list[HostnameForward]) -> None:
    with connect(server) as host:
        for row in rows:
            now = timezone.now()
            found = certificate_files.read(host, row.certificate_path, row.key_path, row.domain, now)
            _note(row, found.facts, found.trouble)
            ends = found.facts.not_after if found.facts else ""
            run.log(f"{row.domain}: {found.trouble or ends}", "err" if found.trouble else "info")


def _note(row: HostnameForward, facts: certificate_files.Facts | None, trouble: str) -> None:
    CertificateReading.objects.update_or_create(
        hostname=row,
        defaults={
            "certificate_path": row.certificate_path,
            "key_path": row.key_path,
            "read_at": timezone.now(),
            "trouble": trouble,
            "names": list(facts.names) if facts else [],
            "issuer": facts.issuer if facts else "",
            "not_before": facts.not_before if facts else None,
            "not_after": facts.not_after if facts else None,
            "fingerprint": facts.fingerprint if facts else "",
        },
    )


def readings_due() -> QuerySet[HostnameForward]:
    """Hostnames whose certificate lies on a server that is reached, and was not read lately or not from there."""
    old = timezone.now() - READ_EVERY
    return HostnameForward.objects.filter(
        Q(certificate_reading=None)
        | Q(certificate_reading__read_at__lt=old)
        | ~Q(certificate_reading__certificate_path=F("certificate_path"))
        | ~Q(certificate_reading__key_path=F("key_path")),
        certificate_kind=CertificateKind.PATHS,
        host__nginx_server__contact=Contact.OK,
    )


def start_readings() -> None:
    """One job that reads all whose turn it is; none where there is none."""
    if readings_due().exists():
        start_job(SCHEDULER, READ_DUE, _("Read the certificates on nginx servers"), once=True)


def register() -> None:
    """Put it on the schedule."""
    schedule.every(ORDER, 15, start_orders)
    schedule.every(READ_DUE, 60, start_readings)
