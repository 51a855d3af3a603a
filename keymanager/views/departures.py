"""Somebody has left: the list of servers that are open, asking them again, and an admin's own word."""

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.actors import actor_of
from accounts.permissions import admin_required
from keymanager import departures
from keymanager.departure_page import rows_of, still_open
from keymanager.models import Departure, DepartureHost
from pages.answers import done
from pages.buttons import button
from pages.csv_answers import csv_answer


@admin_required
@require_safe
def still_open_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The servers not yet known to be without a person's keys, as a file to work through."""
    departure = get_object_or_404(Departure.objects.select_related("person"), person=pk)
    rows = still_open(rows_of(departure))
    name = f"not-confirmed-{departure.person.pk}-{timezone.localdate().isoformat()}.csv"
    head = (_("Server"), _("SSH"), _("Unix users"), _("Last fetch"), _("What is known"))
    return csv_answer(
        name,
        head,
        (
            (
                row.host.server.name,
                row.host.server.ssh_connection,
                " ".join(row.host.unix_users),
                row.state.fetched_at.isoformat() if row.state.fetched_at else "",
                row.words,
            )
            for row in rows
        ),
    )


@admin_required
@button
def ask_again(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Have the servers that are open fetch now."""
    departure = get_object_or_404(Departure, person=pk)
    job = departures.ask_again(actor_of(request), departure)
    return done(
        request, _("They are asked to fetch."), reverse("accounts:offboard", args=[pk]), {"job": job.pk}
    )


@admin_required
@button
def confirm(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Say of one server that one has looked: the keys are not on it."""
    host = get_object_or_404(DepartureHost.objects.select_related("departure__person", "server"), pk=pk)
    departures.confirm_by_hand(actor_of(request), host)
    url = reverse("accounts:offboard", args=[host.departure.person_id])
    return done(request, _("Noted for %s.") % host.server, url)
