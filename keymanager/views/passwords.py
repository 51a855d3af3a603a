"""Passwords over SSH: refused, or taken again; from the server's page."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from accounts.actors import actor_of
from accounts.permissions import admin_required
from keymanager.services.passwords import NotYet, accept_passwords, refuse_passwords
from pages.answers import done, refused
from pages.buttons import button
from servers.models import Server
from servers.views.foretelling import foretells


@admin_required
@foretells
@button
def refuse(request: HttpRequest, pk: int) -> HttpResponse:
    """Have the server's sshd take keys alone."""
    server = get_object_or_404(Server, pk=pk)
    try:
        refuse_passwords(actor_of(request), server)
    except NotYet as error:
        return refused(request, str(error), server.get_absolute_url())
    return done(request, _("%s is told to take no passwords by SSH.") % server, server.get_absolute_url())


@admin_required
@foretells
@button
def accept(request: HttpRequest, pk: int) -> HttpResponse:
    """Have it take what it took before."""
    server = get_object_or_404(Server, pk=pk)
    accept_passwords(actor_of(request), server)
    return done(
        request, _("%s is told to take passwords as it did before.") % server, server.get_absolute_url()
    )
