"""The pages of hostnames."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from forwarding.desired_hostnames import KIND
from forwarding.forms.dangers import DangerForm, DangerousSwitchForm
from forwarding.forms.hostnames import HostnameForm
from forwarding.hostname_dangers import Served, dangers
from forwarding.hostname_ways import ways_in
from forwarding.models import (
    CertificateKind,
    HostnameDestination,
    HostnameForward,
    with_certificates,
    with_last_day,
)
from forwarding.services import hostnames as services
from forwarding.services.hostname_answers import ANSWERS
from forwarding.validators import normal_domain
from forwarding.views.asked import host_filter, rolled_on
from forwarding.views.hostname_answers import all_destinations, answers_of
from jobs.live import live
from jobs.models import Job
from pages.answers import done, form_data, refused, show_form, show_page, wants_json
from pages.lists import Filter, ListPage, asked_number, render_list
from pages.second_word import SecondWordNeeded
from servers.models import Contact, Rollout, Server
from servers.services import StaleEdit
from servers.views.foretelling import foretells

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


class HostnameList(ListPage):
    """International names are found in their own letters, numbers as ports."""

    def match(self, word: str) -> Q:
        """See ListPage.match."""
        found = super().match(word) | Q(domain__icontains=normal_domain(word))
        if word.isdecimal() and len(word) < 6:
            number = int(word)
            found |= Q(port=number) | Q(https_port=number) | Q(destination_port=number)
        return found


def rows_to_show(request: HttpRequest) -> QuerySet[HostnameForward]:
    """The hostnames that the user may see, with all that a row of a list shows, in a constant number of queries."""
    state = Rollout.objects.filter(server=OuterRef("host__nginx_server"), kind=KIND).values("state")[:1]
    own = Server.objects.visible_to(user_of(request)).values("pk")
    # Who is led to from a name learns of the other destinations only that there are some.
    shown = Q(server__in=own) | Q(hostname__host__in=own)
    destinations = HostnameDestination.objects.filter(shown).select_related("server")
    each = HostnameDestination.objects.filter(hostname=OuterRef("pk")).order_by().values("hostname")
    count = each.annotate(count=Count("pk")).values("count")
    away = each.filter(server__contact=Contact.UNREACHABLE).annotate(count=Count("pk")).values("count")
    rows = (
        HostnameForward.objects.visible_to(user_of(request))
        .select_related("host__nginx_server")
        .prefetch_related(Prefetch("destinations", destinations))
        .annotate(rolled=Subquery(state), leads_to=Subquery(count), away=Subquery(away))
    )
    return with_last_day(with_certificates(rows))


def _filters(rows: QuerySet[HostnameForward]) -> tuple[Filter, ...]:
    return (
        host_filter(rows),
        Filter(
            "certificate",
            gettext_lazy("Certificate"),
            CertificateKind.choices,
            lambda all_, kind: all_.filter(certificate_kind=kind),
        ),
        Filter(
            "state",
            gettext_lazy("State"),
            [
                ("on", gettext_lazy("on")),
                ("off", gettext_lazy("off")),
                ("left-out", gettext_lazy("left out")),
            ],
            lambda all_, value: (
                all_.filter(active=True, left_out__gt="")
                if value == "left-out"
                else all_.filter(active=value == "on")
            ),
        ),
    )


@require_http_methods(READ)
def hostname_list(request: HttpRequest) -> HttpResponse:
    """Every hostname that the user may see."""
    rows = rows_to_show(request)
    by_destination = ["destinations__server__name"] if user_of(request).is_admin else []
    listing = HostnameList(
        request,
        rows,
        search=("domain", "note", "host__name", *by_destination),
        sorts={
            "domain": ("domain", "port"),
            "host": ("host__name", "domain"),
            "port": ("port", "domain"),
            "certificate": ("last_day", "domain"),
        },
        default_sort="domain",
        filters=_filters(HostnameForward.objects.visible_to(user_of(request))),
    )
    return render_list(request, "forwarding/hostnames.html", listing, {}, hostname_json)


def hostname_json(hostname: HostnameForward) -> dict[str, Any]:
    """A hostname for programs."""
    destinations = list(hostname.destinations.all())
    return {
        "id": hostname.pk,
        **services.facts_of(hostname, destinations),
        "destinations": [
            {"server": one.server.name, "id": one.server_id, "weight": one.weight, "spare": one.backup}
            for one in destinations
        ],
        "certificate": {"level": hostname.certificate.level, "last_day": hostname.certificate.last_day},
        "left_out": hostname.left_out,
        "version": hostname.version,
    }


@require_http_methods(READ)
def hostname(request: HttpRequest, pk: int) -> HttpResponse:
    """A hostname, and whether its nginx server has it."""
    row = _visible(request, pk)
    inside = all_destinations(request).filter(pk=row.pk).exists()
    if not inside:
        row.answers, row.answers_at = None, None
    if wants_json(request):
        data = {**hostname_json(row), "answers": row.answers, "answers_at": row.answers_at}
        return show_page(request, "", {}, data)
    nginx = row.host.nginx_server
    of_row = Job.objects.visible_to(user_of(request)).of(row)
    context = {
        "hostname": row,
        "nginx": nginx,
        "inside": inside,
        "hidden": HostnameDestination.objects.filter(hostname=row).count() - len(row.destinations.all()),
        **rolled_on(request, nginx, KIND),
        "asking": live(request, of_row.filter(work=ANSWERS)),
        "ways": ways_in(row),
        **answers_of(row),
    }
    return show_page(request, "forwarding/hostname.html", context)


def _visible(request: HttpRequest, pk: int) -> HostnameForward:
    return get_object_or_404(rows_to_show(request), pk=pk)


@admin_required
@require_http_methods(BOTH)
@foretells
def new(request: HttpRequest) -> HttpResponse:
    """Add a hostname; `host` and `destination` in the query string are filled in."""
    servers = Server.objects.select_related("vm_host__nginx_server")
    guest = servers.filter(pk=asked_number(request, "destination")).first()
    hosts = Server.objects.filter(is_proxmox=True, nginx_server__isnull=False).select_related("nginx_server")
    wanted = guest.vm_host_id if guest and guest.vm_host_id else asked_number(request, "host")
    host = hosts.filter(pk=wanted).first()
    form = HostnameForm(form_data(request), host=host, guest=guest)
    context = {"host": host, "guest": guest, "can_add": hosts.exists()}
    return _edit(request, form, "forwarding/new_hostname.html", context)


@admin_required
@require_http_methods(BOTH)
@foretells
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a hostname; its host stays."""
    row = _visible(request, pk)
    form = HostnameForm(form_data(request), hostname=row)
    return _edit(request, form, "forwarding/edit_hostname.html", {"hostname": row, "host": row.host})


def _edit(request: HttpRequest, form: HostnameForm, template: str, context: dict[str, Any]) -> HttpResponse:
    if form.is_bound and form.is_valid():
        filled = form.filled()
        with form.told():
            made = _save(request, form, filled)
            return done(request, _("Saved."), made.get_absolute_url(), hostname_json(made))
    return show_form(request, template, form, context)


def _save(request: HttpRequest, form: HostnameForm, filled: HostnameForward) -> HostnameForward:
    actor, destinations = actor_of(request), form.cleaned_data["destinations"]
    if form.hostname is None:
        return services.create_hostname(actor, filled, destinations, confirmed=form.confirmed)
    version = form.cleaned_data["version"]
    return services.change_hostname(actor, filled, destinations, version=version, confirmed=form.confirmed)


@admin_required
@require_POST
@foretells
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a hostname on or off (`active`); asks for a second word where that may cut something off."""
    row = _visible(request, pk)
    form = DangerousSwitchForm(form_data(request))
    if form.is_valid():
        active = form.cleaned_data["active"]
        try:
            services.switch_hostname(actor_of(request), row, active=active, confirmed=form.confirmed)
        except SecondWordNeeded as error:
            form.ask(error)
        except ValidationError as error:
            return refused(request, " ".join(error.messages), row.get_absolute_url())
        except StaleEdit as error:
            return refused(request, str(error), reverse("forwarding:hostnames"))
        else:
            said = _("The hostname is switched on.") if active else _("The hostname is switched off.")
            return done(request, said, row.get_absolute_url())
    return show_form(request, "forwarding/switch_hostname.html", form, {"hostname": row})


@admin_required
@require_http_methods(BOTH)
@foretells
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a hostname; first says what that may cut off."""
    row = _visible(request, pk)
    form = DangerForm(form_data(request))
    if form.is_bound and form.is_valid():
        try:
            services.delete_hostname(actor_of(request), row, confirmed=form.confirmed)
        except SecondWordNeeded as error:
            form.ask(error)
        except StaleEdit as error:
            return refused(request, str(error), reverse("forwarding:hostnames"))
        else:
            rollout = Rollout.objects.filter(server=row.host.nginx_server, kind=KIND).first()
            url = rollout.get_absolute_url() if rollout else reverse("forwarding:hostnames")
            return done(request, _("%s is deleted.") % row, url)
    context = {
        "hostname": row,
        "dangers": dangers(row.host, Served.of(row, row.destinations.all()), None),
    }
    return show_form(request, "forwarding/delete_hostname.html", form, context)
