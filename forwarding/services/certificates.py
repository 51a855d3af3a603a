"""Certificates of hostnames: keep an uploaded one, have one ordered or read, and what nginx gets."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.audit import record
from forwarding.models import (
    CertificateKind,
    CertificateOrder,
    HostnameForward,
    Source,
    StoredCertificate,
)
from forwarding.pairs import BadPair, CheckedPair, Pair, checked_pair
from jobs.models import Job
from jobs.services import start_job
from servers import rollouts
from servers.models import Server

NGINX = "nginx"  # the kind of rollout that brings certificates
ORDER, READ = "forwarding.order_certificate", "forwarding.read_certificate"
NO_ORDER = {
    "uri": "",
    "key": "",
    "failures": 0,
    "failing_since": None,
    "trouble": "",
    "next_try_at": None,
    "not_before": None,
}
KEPT = (CertificateKind.UPLOADED, CertificateKind.ACME)


class OrderRefused(Exception):  # noqa: N818 - the state of things forbids it
    """A certificate cannot be ordered or read now; str() says why."""


def pair_of(hostname: HostnameForward) -> Pair | None:
    """What nginx serves this hostname with; None where Gestion keeps none for it.

    One that has ended is still served: visitors then see a warning, which is more than nothing.
    """
    stored = stored_of(hostname)
    if hostname.certificate_kind not in KEPT or stored is None or not stored.is_for(hostname.domain):
        return None
    return Pair(stored.chain.encode(), stored.key.encode())


def stored_of(hostname: HostnameForward) -> StoredCertificate | None:
    """The certificate that is kept for it, whatever it wants now."""
    try:
        return hostname.stored_certificate
    except StoredCertificate.DoesNotExist:
        return None


@transaction.atomic
def store_certificate(
    actor: Actor, hostname: HostnameForward, chain_pem: str, key_pem: str
) -> StoredCertificate:
    """Keep an uploaded pair, serve the hostname with it and have that rolled out.

    Raises ValidationError by field ("chain", "key"); its words never hold the key.
    """
    now = lock(hostname)
    if now is None:
        raise ValidationError({"chain": _("Somebody else has deleted this hostname.")})
    hostname = now
    try:
        checked = checked_pair(chain_pem, key_pem, hostname.domain, timezone.now())
    except BadPair as bad:
        raise ValidationError(bad.errors) from None
    if hostname.certificate_kind != CertificateKind.UPLOADED:
        _serve_uploaded(actor, hostname)
    stored = keep(actor, hostname, checked, Source.UPLOADED)
    CertificateOrder.objects.filter(hostname=hostname).update(**NO_ORDER)
    return stored


def _serve_uploaded(actor: Actor, hostname: HostnameForward) -> None:
    from forwarding.services.hostnames import change_hostname

    version = hostname.version
    hostname.certificate_kind = CertificateKind.UPLOADED
    hostname.certificate_path = hostname.key_path = ""
    try:
        change_hostname(actor, hostname, list(hostname.destinations.all()), version=version, confirmed=True)
    except ValidationError as error:  # of fields that this form does not have
        raise ValidationError({"chain": error.messages}) from error


def keep(actor: Actor, hostname: HostnameForward, checked: CheckedPair, source: Source) -> StoredCertificate:
    """Keep a checked pair in place of the one before, and have it rolled out. Call it in a transaction."""
    facts, before = checked.facts, stored_of(hostname)
    lifetime = facts.not_after - facts.not_before
    stored = StoredCertificate.objects.update_or_create(
        hostname=hostname,
        defaults={
            "source": source,
            "chain": checked.pair.chain.decode(),
            "key": checked.pair.key.decode(),
            "names": list(facts.names),
            "issuer": facts.issuer,
            "not_before": facts.not_before,
            "not_after": facts.not_after,
            "fingerprint": facts.fingerprint,
            "stored_at": timezone.now(),
            "renew_at": facts.not_after - lifetime / 3 if source == Source.ACME else None,
        },
    )[0]
    record(
        actor, "hostname.certificate", hostname,
        before=certificate_facts(before) if before else None, after=certificate_facts(stored),
    )  # fmt: skip
    if hostname.active and hostname.host.nginx_server:
        rollouts.ask(actor, hostname.host.nginx_server, [NGINX], _("%s has a new certificate") % hostname)
    return stored


def certificate_facts(stored: StoredCertificate) -> dict[str, Any]:
    """A certificate in plain values, for the audit trail and for programs; never its key."""
    return {
        "source": stored.source,
        "names": stored.names,
        "issuer": stored.issuer,
        "not_before": stored.not_before,
        "not_after": stored.not_after,
        "fingerprint": stored.fingerprint,
    }


@transaction.atomic
def order_certificate(actor: Actor, hostname: HostnameForward) -> Job:
    """Have a certificate ordered now, also if the one that is there is still good. Raises OrderRefused."""
    if hostname.certificate_kind != CertificateKind.ACME:
        raise OrderRefused(_("%s does not get its certificate by itself.") % hostname)
    if not hostname.active:
        raise OrderRefused(_("%s is switched off: switch it on first.") % hostname)
    refuse_before_its_time(hostname)
    record(actor, "hostname.order_certificate", hostname)
    return start_order(actor, hostname)


def refuse_before_its_time(hostname: HostnameForward) -> None:
    """Raise OrderRefused while the authority wants no more requests for this hostname."""
    order = CertificateOrder.objects.filter(hostname=hostname).first()
    if order and order.not_before and order.not_before > timezone.now():
        text = _("The authority wants no more requests before %s.")
        raise OrderRefused(text % timezone.localtime(order.not_before).strftime("%Y-%m-%d %H:%M %Z"))


def start_order(actor: Actor, hostname: HostnameForward) -> Job:
    """The job that orders one hostname's certificate; if one waits already, that one."""
    title = _("Get a certificate for %s") % hostname.shown_domain
    return start_job(actor, ORDER, title, {"hostname": hostname.pk}, subject=hostname, once=True)


@transaction.atomic
def read_certificate(actor: Actor, hostname: HostnameForward) -> Job:
    """Have the certificate's files on the nginx server read now. Raises OrderRefused."""
    if hostname.certificate_kind != CertificateKind.PATHS:
        raise OrderRefused(_("The certificate of %s does not lie on the nginx server.") % hostname)
    record(actor, "hostname.read_certificate", hostname)
    title = _("Read the certificate of %s") % hostname.shown_domain
    return start_job(actor, READ, title, {"hostname": hostname.pk}, subject=hostname, once=True)


def lock(hostname: HostnameForward) -> HostnameForward | None:
    """The hostname as it is now, None if it is gone; nobody else changes it before the transaction ends."""
    list(Server.objects.select_for_update(no_key=True).filter(pk=hostname.host_id).values_list("pk"))
    return HostnameForward.objects.select_related("host__nginx_server").filter(pk=hostname.pk).first()
