"""Passwords of shares: shown to those who may see the share, once they ask, and replaced."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables

from accounts.actors import actor_of
from accounts.permissions import admin_required
from pages.answers import done, refused, show_page
from pages.buttons import button
from samba.passwords import NoShareSecret
from samba.services import shares as services
from samba.views.common import visible_share, ways_to
from servers.views.foretelling import foretells


@button
@never_cache
@sensitive_variables("password")
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """The share's password; for admins and owners of its server, by POST alone, noted in the audit trail."""
    row = visible_share(request, pk)
    try:
        password = services.show_password(actor_of(request), row)
    except (NoShareSecret, services.StaleShare) as error:
        return refused(request, str(error), row.get_absolute_url())
    context = {"share": row, "password": password, "ways": ways_to(row)}
    return show_page(request, "samba/password.html", context, {"user": row.user, "password": password})


@foretells
@button
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a share a new password; for owners of its server, too."""
    row = visible_share(request, pk)
    try:
        services.renew_password(actor_of(request), row)
    except (NoShareSecret, services.StaleShare) as error:
        return refused(request, str(error), row.get_absolute_url())
    said = _("It gets a new password now; the old one counts no more once it is rolled out.")
    return done(request, said, row.get_absolute_url())


@admin_required
@foretells
@button
def renew_all(request: HttpRequest) -> HttpResponse:
    """Give new passwords to all shares whose one is from another SAMBA_SECRET_KEY."""
    url = reverse("samba:shares")
    try:
        count = services.renew_all(actor_of(request))
    except NoShareSecret as error:
        return refused(request, str(error), url)
    said = ngettext("%d share gets a new password now.", "%d shares get new passwords now.", count)
    return done(request, said % count, url, {"count": count})
