"""Pages of how a Proxmox host is reached: access, certificate, rights."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required
from jobs.live import live
from jobs.models import Job
from pages.answers import done, form_data, refused, refused_form, show_form, show_page
from pages.buttons import button
from proxmox import rights
from proxmox.client.answers import Version
from proxmox.client.certificate import Shown, read_certificate
from proxmox.client.opening import access_of, login_of_settings
from proxmox.forms.access import AccessForm, FingerprintForm
from proxmox.models import ProxmoxAccess, default_address
from proxmox.services import access as services
from proxmox.views.common import proxmox_host
from servers.models import Server
from servers.services import StaleEdit


def _url(server: Server) -> str:
    return reverse("proxmox:access", args=[server.pk])


@admin_required
@require_http_methods(["GET", "HEAD"])
def access(request: HttpRequest, pk: int) -> HttpResponse:
    """How a host's API is reached, and how the last try went."""
    server = proxmox_host(request, pk)
    row = access_of(server)
    settings_login = login_of_settings()
    trying = live(request, Job.objects.of(server).filter(work=services.TRY))
    found = rights.compare(server.proxmox_node, Version(row.pve_version).major, row.rights or {})
    context = {
        "server": server,
        "row": row,
        "address": row.address or default_address(server),
        "who": row.user or (settings_login.who if settings_login else ""),
        "from_settings": not row.user,
        "trying": trying,
        "accepted": _shown(row.certificate),
        "offered": _shown(row.offered_certificate),
        "lacking": [right for right in found if not right.is_there] if row.rights is not None else [],
    }
    return show_page(request, "proxmox/access.html", context, access_json(row))


def access_json(row: ProxmoxAccess) -> dict[str, Any]:
    """An access as JSON; its secret is never told."""
    return {
        "server": row.server_id,
        "address": row.address,
        "port": row.port,
        "user": row.user,
        "has_secret": bool(row.secret),
        "version": row.version if row.pk else 0,
        "certificate": row.fingerprint,
        "offered_certificate": row.offered_fingerprint,
        "tried_at": row.tried_at,
        "tried_as": row.tried_as,
        "tried_code": row.tried_code,
        "tried_words": row.tried_words,
        "pve_version": row.pve_version,
        "guests_seen": row.guests_seen,
    }


def _shown(pem: str) -> Shown | None:
    try:
        return read_certificate(pem) if pem else None
    except ValueError:
        return None


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_access(request: HttpRequest, pk: int) -> HttpResponse:
    """Say where a host's API is, and as whom to sign in."""
    server = proxmox_host(request, pk)
    form = AccessForm(form_data(request), row=access_of(server))
    if form.is_bound and form.is_valid():
        try:
            services.save_access(actor_of(request), server, **form.typed)
        except StaleEdit as error:
            form.add_error(None, str(error))
        except ValidationError as error:
            for name, messages in error.message_dict.items():
                form.add_error(name if name in form.fields else None, messages)
        else:
            return done(request, _("Saved. It is being tried now."), _url(server))
    return show_form(request, "proxmox/edit_access.html", form, {"server": server})


@admin_required
@button
def try_access(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign in and look which rights there are, by a worker."""
    server = proxmox_host(request, pk)
    job = services.ask_for_try(actor_of(request), server)
    return done(request, _("It is being tried."), _url(server), {"job": job.pk})


@admin_required
@require_POST
def accept_certificate(request: HttpRequest, pk: int) -> HttpResponse:
    """Trust the certificate with this fingerprint."""
    server = proxmox_host(request, pk)
    form = FingerprintForm(form_data(request))
    if not form.is_valid():
        return refused_form(request, form, _url(server))
    try:
        services.accept_certificate(actor_of(request), server, form.cleaned_data["fingerprint"])
    except StaleEdit as error:
        return refused(request, str(error), _url(server))
    return done(request, _("The certificate is accepted; the API is being tried."), _url(server))


@admin_required
@button
def reject_certificate(request: HttpRequest, pk: int) -> HttpResponse:
    """Do not trust the certificate that is shown."""
    server = proxmox_host(request, pk)
    services.reject_certificate(actor_of(request), server)
    return done(request, _("The certificate is not trusted; the API is being tried."), _url(server))


@admin_required
@button
def forget_certificate(request: HttpRequest, pk: int) -> HttpResponse:
    """Let the system's CAs decide again."""
    server = proxmox_host(request, pk)
    services.forget_certificate(actor_of(request), server)
    said = _("The certificate is accepted no longer: this machine's CAs decide. The API is being tried.")
    return done(request, said, _url(server))


@admin_required
@require_http_methods(["GET", "HEAD"])
def rights_page(request: HttpRequest, pk: int) -> HttpResponse:
    """Which rights there are and which are missing, one by one, and how to give them."""
    server = proxmox_host(request, pk)
    row = access_of(server)
    major = Version(row.pve_version).major
    found = row.rights or {}
    compared = rights.compare(server.proxmox_node, major, found)
    tried = row.rights is not None
    who = row.tried_as or row.user
    context = {
        "server": server,
        "row": row,
        "who": who,
        "tried": tried,
        "rights": compared,
        "lacking": [right for right in compared if not right.is_there],
        "has_none": tried and rights.has_none(found),
        "is_token": "!" in who,
        "new_commands": "\n".join(rights.commands(server.proxmox_node, major)),
        "more_commands": "\n".join(rights.commands(server.proxmox_node, major, who)) if who else "",
    }
    data = {
        "who": who,
        "tried_at": row.tried_at,
        "rights": [
            {
                "privilege": right.need.privilege,
                "path": right.need.path,
                "what_for": str(right.need.what_for),
                "is_there": right.is_there if tried else None,
                "elsewhere": list(right.elsewhere),
            }
            for right in compared
        ],
    }
    return show_page(request, "proxmox/rights.html", context, data)
