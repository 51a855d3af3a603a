"""Reaching a server: check it, and an admin's word on its host keys."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from pages.answers import done, refused, show_page
from pages.buttons import button, takes_no_fields
from servers import services
from servers.models import HostKey
from servers.views.common import visible_server
from servers.views.foretelling import foretells


@button
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """Try to reach the server now."""
    row = visible_server(request, pk)
    job = services.check_server(actor_of(request), row)
    return done(request, _("%s is being checked.") % row, row.get_absolute_url(), {"job": job.pk})


def _host_key(request: HttpRequest, pk: int, key: int) -> HostKey:
    row = visible_server(request, pk)
    return get_object_or_404(HostKey.objects.select_related("server"), pk=key, server=row)


@admin_required
@foretells
@button
def accept_host_key(request: HttpRequest, pk: int, key: int) -> HttpResponse:
    """Trust this host key from now on."""
    host_key = _host_key(request, pk, key)
    url = host_key.server.get_absolute_url()
    if host_key.pinned_at:
        return refused(request, _("This key has been accepted already."), url)
    services.accept_host_key(actor_of(request), host_key)
    return done(request, _("The host key is accepted; the server is being checked."), url)


@admin_required
@button
def reject_host_key(request: HttpRequest, pk: int, key: int) -> HttpResponse:
    """Do not trust this host key; the accepted one stays."""
    host_key = _host_key(request, pk, key)
    url = host_key.server.get_absolute_url()
    if host_key.pinned_at:
        return refused(request, _("This key has been accepted already."), url)
    services.reject_host_key(actor_of(request), host_key)
    return done(request, _("The key is not trusted; the server is being checked."), url)


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
@takes_no_fields
def remove_host_key(request: HttpRequest, pk: int, key: int) -> HttpResponse:
    """Trust this host key no longer."""
    host_key = _host_key(request, pk, key)
    row = host_key.server
    if request.method == "POST":
        services.remove_host_key(actor_of(request), host_key)
        return done(request, _("The host key is removed."), row.get_absolute_url())
    data = {"fingerprint": host_key.fingerprint}
    return show_page(request, "servers/remove_host_key.html", {"server": row, "host_key": host_key}, data)
