"""Certificates of hostnames: those kept here, those read on the nginx server, and orders under way."""

from django.db import models
from django.db.models import Case, OuterRef, Q, QuerySet, Subquery, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.fields import EncryptedTextField
from forwarding.models.hostnames import CertificateKind, HostnameForward
from forwarding.pairs import covers
from jobs.models import Job
from servers.models import Server


class Source(models.TextChoices):
    """How a certificate came here."""

    UPLOADED = "uploaded", _("uploaded")
    ACME = "acme", _("by itself (ACME)")


class _OfHostname(models.Model):
    """What a certificate says of itself."""

    names = models.JSONField(default=list)
    issuer = models.CharField(max_length=200, blank=True)
    not_before = models.DateTimeField(null=True)
    not_after = models.DateTimeField(null=True)
    fingerprint = models.CharField(max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def ended(self) -> bool:
        """Whether its last day is over."""
        return self.not_after is not None and self.not_after <= timezone.now()

    def is_for(self, domain: str) -> bool:
        """Whether it is one for this domain."""
        return covers(self.names, domain)


class StoredCertificate(_OfHostname):
    """A certificate with its key, which the nginx server gets. One a hostname; a new one replaces it."""

    hostname = models.OneToOneField(
        HostnameForward, on_delete=models.CASCADE, related_name="stored_certificate"
    )
    source = models.CharField(max_length=8, choices=Source)
    chain = models.TextField()  # PEM, the certificate itself first
    key = EncryptedTextField()  # PEM, PKCS #8
    stored_at = models.DateTimeField(default=timezone.now)
    # When the next one is to be ordered; none for those that were uploaded.
    renew_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("certificate")
        verbose_name_plural = _("certificates")

    def __str__(self) -> str:
        return f"{self.hostname}: {self.issuer}"


class CertificateReading(_OfHostname):
    """What was last read of a certificate that lies on the nginx server, and for which files."""

    hostname = models.OneToOneField(
        HostnameForward, on_delete=models.CASCADE, related_name="certificate_reading"
    )
    certificate_path = models.CharField(max_length=255)
    key_path = models.CharField(max_length=255)
    read_at = models.DateTimeField(default=timezone.now)
    trouble = models.TextField(blank=True)  # why it cannot be used, or could not be read

    def __str__(self) -> str:
        return f"{self.hostname}: {self.certificate_path}"


class AcmeAccount(models.Model):
    """The panel's account at one authority; made with the first order there."""

    directory = models.URLField(unique=True)
    key = EncryptedTextField()

    def __str__(self) -> str:
        return self.directory


class CertificateOrder(models.Model):
    """How far the order of a hostname's certificate is, and how the last tries ended.

    Enough to go on after a worker's death: the order's URL and the key it is for are here before the
    authority makes anything.
    """

    hostname = models.OneToOneField(
        HostnameForward, on_delete=models.CASCADE, related_name="certificate_order"
    )
    # Who is at it: one job at a time (see forwarding.ordering).
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="+")
    directory = models.URLField(blank=True)
    domain = models.CharField(max_length=253, blank=True)
    uri = models.URLField(max_length=500, blank=True)
    key = EncryptedTextField(blank=True)
    tried_at = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    failing_since = models.DateTimeField(null=True)
    trouble = models.TextField(blank=True)
    next_try_at = models.DateTimeField(null=True)  # none: as soon as it is wanted
    # The authority's own word: nothing is tried before, not even by hand.
    not_before = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.hostname}: {self.trouble or self.uri}"


class AcmeChallenge(models.Model):
    """A file that an authority will look for on the nginx server, as long as it has not looked."""

    hostname = models.ForeignKey(HostnameForward, on_delete=models.CASCADE, related_name="+")
    nginx = models.ForeignKey(Server, on_delete=models.CASCADE, related_name="+")
    token = models.CharField(max_length=128)
    content = models.CharField(max_length=255)
    made_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["nginx", "token"], name="acme_token_once_an_nginx")]

    def __str__(self) -> str:
        return self.token


def with_certificates(rows: QuerySet[HostnameForward]) -> QuerySet[HostnameForward]:
    """The hostnames with all that is known of their certificates, but no key and no chain, in one query."""
    return rows.select_related("stored_certificate", "certificate_reading", "certificate_order").defer(
        "stored_certificate__chain", "stored_certificate__key", "certificate_order__key"
    )


def with_last_day(rows: QuerySet[HostnameForward]) -> QuerySet[HostnameForward]:
    """The hostnames, each with `last_day`: when its certificate ends; None where there is none, or not known."""
    stored = StoredCertificate.objects.filter(hostname=OuterRef("pk")).values("not_after")[:1]
    read = CertificateReading.objects.filter(
        hostname=OuterRef("pk"), certificate_path=OuterRef("certificate_path")
    ).values("not_after")[:1]
    kinds = Q(certificate_kind__in=[CertificateKind.UPLOADED, CertificateKind.ACME])
    return rows.annotate(
        last_day=Case(
            When(kinds, then=Subquery(stored)),
            When(certificate_kind=CertificateKind.PATHS, then=Subquery(read)),
            output_field=models.DateTimeField(),
        )
    )
