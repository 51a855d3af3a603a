"""Which server a guest is: an admin's word on it."""

from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import Actor, actor_of
from accounts.permissions import admin_required
from pages.answers import done, form_data, refused, show_form
from pages.buttons import button
from proxmox import looks
from proxmox.forms.matching import AdoptForm, LinkForm
from proxmox.models.seen import GuestSeen, NodeSeen
from proxmox.services import matching as services
from proxmox.views.common import visible_guest
from servers.services import StaleEdit
from servers.views.foretelling import foretells

BOTH = ["GET", "HEAD", "POST"]


@admin_required
@require_http_methods(BOTH)
@foretells
def adopt(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a server of the inventory for a guest that has none."""
    guest = visible_guest(request, pk)
    form = AdoptForm(form_data(request), guest=guest)
    if guest.server is not None:
        message = _("This guest is the server %s already.") % guest.server
        return refused(request, message, guest.get_absolute_url())
    if guest.template:
        return refused(request, str(services.NO_SERVER) % guest, guest.get_absolute_url())
    if not form.is_bound:  # so that what it says of its addresses is of now, should the page be opened again
        looks.look_soon(NodeSeen.objects.filter(host=guest.host), vmid=guest.vmid)
    if form.is_bound and form.is_valid():
        try:
            made = services.adopt_guest(actor_of(request), guest, form.instance)
        except ValidationError as error:
            form.refuse(error)
        except StaleEdit as error:
            return refused(request, str(error), guest.get_absolute_url())
        else:
            said = _("%s is in the inventory.") % made
            return done(request, said, made.get_absolute_url(), {"id": made.pk})
    return show_form(request, "proxmox/adopt.html", form, {"guest": guest})


@admin_required
@require_http_methods(BOTH)
def link(request: HttpRequest, pk: int) -> HttpResponse:
    """Say which server a guest is."""
    guest = visible_guest(request, pk)
    form = LinkForm(form_data(request), guest=guest)
    if form.is_bound and form.is_valid():
        server = form.cleaned_data["server"]
        try:
            services.link_guest(actor_of(request), guest, server)
        except ValidationError as error:
            form.add_error(None, error.messages)
        except StaleEdit as error:
            return refused(request, str(error), guest.get_absolute_url())
        else:
            said = _("%(guest)s is %(server)s.") % {"guest": guest, "server": server}
            return done(request, said, guest.get_absolute_url())
    return show_form(request, "proxmox/link.html", form, {"guest": guest})


@admin_required
@button
def apart(request: HttpRequest, pk: int) -> HttpResponse:
    """Say that a guest is none of the servers."""
    return _say(request, pk, services.keep_apart, _("%s is no server of the inventory."))


@admin_required
@button
def match(request: HttpRequest, pk: int) -> HttpResponse:
    """Let address and name decide again."""
    return _say(request, pk, services.match_by_itself, _("Address and name decide which server %s is."))


def _say(
    request: HttpRequest, pk: int, service: Callable[[Actor, GuestSeen], None], said: str
) -> HttpResponse:
    guest = visible_guest(request, pk)
    try:
        service(actor_of(request), guest)
    except StaleEdit as error:
        return refused(request, str(error), guest.get_absolute_url())
    return done(request, said % guest, guest.get_absolute_url())
