"""The pages of a hostname's certificate."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from forwarding.certificate_states import standing
from forwarding.forms.certificates import UploadForm
from forwarding.models import CertificateKind, HostnameForward, with_certificates
from forwarding.services import certificates as services
from forwarding.services.certificates import ORDER, READ, OrderRefused
from jobs.live import live
from jobs.models import ENDED, Job
from pages.answers import done, form_data, refused, show_form, show_page
from pages.buttons import button

READS = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


def _visible(request: HttpRequest, pk: int) -> HostnameForward:
    rows = HostnameForward.objects.visible_to(user_of(request)).select_related("host__nginx_server")
    return get_object_or_404(with_certificates(rows), pk=pk)


@require_http_methods(READS)
def certificate(request: HttpRequest, pk: int) -> HttpResponse:
    """What is known of a hostname's certificate, and what can be done about it."""
    hostname = _visible(request, pk)
    shown = standing(hostname)
    stored, order = services.stored_of(hostname), getattr(hostname, "certificate_order", None)
    reading = getattr(hostname, "certificate_reading", None)
    if hostname.certificate_kind == CertificateKind.PATHS:
        facts = reading
    else:
        facts = stored if hostname.certificate_kind in services.KEPT else None
    jobs = Job.objects.visible_to(user_of(request)).of(hostname).filter(work__in=[ORDER, READ])
    context = {
        "hostname": hostname,
        "standing": shown,
        "facts": facts,
        "stored": stored,
        "order": order,
        "reading": reading,
        "kinds": CertificateKind,
        "directory": settings.ACME_DIRECTORY,
        "job": live(request, jobs),
        "last_job": jobs.filter(state__in=ENDED).order_by("-pk").first(),
    }
    return show_page(request, "forwarding/certificate.html", context, certificate_json(hostname))


def certificate_json(hostname: HostnameForward) -> dict[str, Any]:
    """A hostname's certificate for programs; never its key."""
    shown, order = standing(hostname), getattr(hostname, "certificate_order", None)
    stored = services.stored_of(hostname)
    return {
        "hostname": hostname.pk,
        "domain": hostname.domain,
        "kind": hostname.certificate_kind,
        "level": shown.level,
        "says": shown.sentence or shown.word,
        "last_day": shown.last_day,
        "stored": services.certificate_facts(stored) if stored else None,
        "failures": order.failures if order else 0,
        "next_try_at": order.next_try_at if order else None,
    }


@admin_required
@sensitive_post_parameters("key")
@sensitive_variables("form")
@require_http_methods(BOTH)
def upload(request: HttpRequest, pk: int) -> HttpResponse:
    """Upload a pair; the hostname is served with it from then on."""
    hostname = _visible(request, pk)
    form = UploadForm(form_data(request), request.FILES or None)
    if form.is_bound and form.is_valid():
        try:
            stored = services.store_certificate(
                actor_of(request), hostname, form.cleaned_data["chain"], form.cleaned_data["key"]
            )
        except ValidationError as error:
            form.refuse(error.message_dict)
        else:
            said = _("The certificate is kept; the nginx server is getting it now.")
            return done(request, said, _url(hostname), services.certificate_facts(stored))
    context = {"hostname": hostname, "kinds": CertificateKind, "stored": services.stored_of(hostname)}
    return show_form(request, "forwarding/upload_certificate.html", form, context)


@admin_required
@button
def order(request: HttpRequest, pk: int) -> HttpResponse:
    """Order a certificate now, by ACME."""
    hostname = _visible(request, pk)
    try:
        job = services.order_certificate(actor_of(request), hostname)
    except OrderRefused as error:
        return refused(request, str(error), _url(hostname))
    return done(request, _("Getting a certificate."), _url(hostname), {"job": job.pk})


@admin_required
@button
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Read the certificate's files on the nginx server now."""
    hostname = _visible(request, pk)
    try:
        job = services.read_certificate(actor_of(request), hostname)
    except OrderRefused as error:
        return refused(request, str(error), _url(hostname))
    return done(request, _("Reading the certificate."), _url(hostname), {"job": job.pk})


def _url(hostname: HostnameForward) -> str:
    return reverse("forwarding:certificate", args=[hostname.pk])
