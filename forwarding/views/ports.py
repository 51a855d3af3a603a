"""The pages of forwarded ports."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from forwarding.answering import STEPS, Answer, outside_of, verdict
from forwarding.desired_ports import KIND
from forwarding.forms.dangers import DangerForm, DangerousSwitchForm
from forwarding.forms.ports import PortForwardForm
from forwarding.models import PortForward, PortReading, Protocol
from forwarding.port_dangers import Way, dangers
from forwarding.services import ports as services
from forwarding.views.asked import host_filter, rolled_on
from jobs.live import live
from jobs.models import Job
from pages.answers import done, form_data, refused, show_form, show_page, wants_json
from pages.buttons import button
from pages.lists import Filter, ListPage, asked_number, render_list
from pages.second_word import SecondWordNeeded
from servers.models import Rollout, RolloutState, Server
from servers.services import StaleEdit
from servers.views.foretelling import foretells

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


class PortList(ListPage):
    """A word that is a number also finds the rules in whose ports it lies."""

    def match(self, word: str) -> Q:
        """See ListPage.match."""
        found = super().match(word)
        if word.isdecimal() and len(word) < 6:
            number = int(word)
            found |= Q(first_port__lte=number, last_port__gte=number)
            found |= Q(destination_first__lte=number, destination_last__gte=number)
        return found


def _filters(rows: QuerySet[PortForward]) -> tuple[Filter, ...]:
    return (
        host_filter(rows),
        Filter(
            "protocol",
            gettext_lazy("Protocol"),
            Protocol.choices,
            lambda all_, name: all_.filter(protocol=name),
        ),
        Filter(
            "active",
            gettext_lazy("Switched"),
            [("on", gettext_lazy("on")), ("off", gettext_lazy("off"))],
            lambda all_, value: all_.filter(active=value == "on"),
        ),
    )


@require_http_methods(READ)
def port_list(request: HttpRequest) -> HttpResponse:
    """Every forwarded port that the user may see."""
    rows = PortForward.objects.visible_to(user_of(request))
    state = Rollout.objects.filter(server=OuterRef("host"), kind=KIND).values("state")[:1]
    listing = PortList(
        request,
        rows.select_related("host", "destination").annotate(rolled=Subquery(state)),
        search=("note", "host__name", "destination__name"),
        sorts={
            "host": ("host__name", "protocol", "first_port"),
            "port": ("first_port", "protocol"),
            "destination": ("destination__name", "destination_first"),
        },
        default_sort="host",
        filters=_filters(rows),
    )
    return render_list(request, "forwarding/ports.html", listing, {"states": RolloutState}, port_json)


def port_json(rule: PortForward) -> dict[str, Any]:
    """A rule for programs."""
    return {"id": rule.pk, **services.facts_of(rule), "version": rule.version}


@require_http_methods(READ)
def port(request: HttpRequest, pk: int) -> HttpResponse:
    """A rule, whether the host has it, and what answered."""
    rule = _visible(request, pk)
    inside = _may_look_inside(request).filter(pk=rule.pk).exists()
    if not inside:
        rule.answers, rule.answers_at = None, None
    answers = [Answer(**answer) for answer in rule.answers or ()]
    if wants_json(request):
        data = {**port_json(rule), "answers": rule.answers, "answers_at": rule.answers_at}
        return show_page(request, "", {}, data)
    of_rule = Job.objects.visible_to(user_of(request)).of(rule)
    context = {
        "rule": rule,
        "inside": inside,
        "outside": outside_of(rule.host),
        **rolled_on(request, rule.host, KIND),
        "asking": live(request, of_rule),
        "answers": [(answer, STEPS[answer.step]) for answer in answers],
        "verdict": verdict(answers) if answers else "",
        "broken": any(answer.ok is False for answer in answers),
    }
    return show_page(request, "forwarding/port.html", context)


def _may_look_inside(request: HttpRequest) -> QuerySet[PortForward]:
    """The rules of whose destination the user may know what runs there: who owns only the host may not."""
    own = Server.objects.visible_to(user_of(request)).values("pk")
    return PortForward.objects.filter(destination__in=own)


def _visible(request: HttpRequest, pk: int) -> PortForward:
    rows = PortForward.objects.visible_to(user_of(request)).select_related("host", "destination")
    return get_object_or_404(rows, pk=pk)


@admin_required
@require_http_methods(BOTH)
@foretells
def new(request: HttpRequest) -> HttpResponse:
    """Add a rule; `host`, `destination` and `port` in the query string are filled in."""
    guests = Server.objects.filter(vm_host__is_proxmox=True, internal_ip__isnull=False)
    guest = guests.select_related("vm_host").filter(pk=asked_number(request, "destination")).first()
    hosts = Server.objects.filter(is_proxmox=True)
    host = guest.vm_host if guest else hosts.filter(pk=asked_number(request, "host")).first()
    initial = {"destination": guest.pk} if guest else {}
    if port := asked_number(request, "port"):
        initial["ports"] = port
    form = PortForwardForm(form_data(request), host=host, initial=initial)
    return _edit(request, form, "forwarding/new_port.html", {"host": host, "guest": guest})


@admin_required
@require_http_methods(BOTH)
@foretells
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a rule; its host stays."""
    rule = _visible(request, pk)
    form = PortForwardForm(form_data(request), rule=rule)
    return _edit(request, form, "forwarding/edit_port.html", {"rule": rule, "host": rule.host})


def _edit(
    request: HttpRequest, form: PortForwardForm, template: str, context: dict[str, Any]
) -> HttpResponse:
    if form.is_bound and form.is_valid():
        filled = form.filled()
        with form.told():
            made = _save(request, form, filled)
            return done(request, _("Saved."), made.get_absolute_url(), port_json(made))
    reading = PortReading.objects.filter(host=context["host"]).first() if context["host"] else None
    return show_form(request, template, form, {**context, "reading": reading})


def _save(request: HttpRequest, form: PortForwardForm, filled: PortForward) -> PortForward:
    actor = actor_of(request)
    if form.rule is None:
        return services.create_port_forward(actor, filled, confirmed=form.confirmed)
    version = form.cleaned_data["version"]
    return services.change_port_forward(actor, filled, version=version, confirmed=form.confirmed)


@admin_required
@require_POST
@foretells
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a rule on or off (`active`); asks for a second word where that may cut something off."""
    rule = _visible(request, pk)
    form = DangerousSwitchForm(form_data(request))
    if form.is_valid():
        active = form.cleaned_data["active"]
        try:
            services.switch_port_forward(actor_of(request), rule, active=active, confirmed=form.confirmed)
        except SecondWordNeeded as error:
            form.ask(error)
        except ValidationError as error:
            return refused(request, " ".join(error.messages), rule.get_absolute_url())
        except StaleEdit as error:
            return refused(request, str(error), reverse("forwarding:ports"))
        else:
            said = _("The rule is switched on.") if active else _("The rule is switched off.")
            return done(request, said, rule.get_absolute_url())
    return show_form(request, "forwarding/switch_port.html", form, {"rule": rule})


@admin_required
@require_http_methods(BOTH)
@foretells
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a rule; first says what that may cut off."""
    rule = _visible(request, pk)
    form = DangerForm(form_data(request))
    if form.is_bound and form.is_valid():
        try:
            services.delete_port_forward(actor_of(request), rule, confirmed=form.confirmed)
        except SecondWordNeeded as error:
            form.ask(error)
        except StaleEdit as error:
            return refused(request, str(error), reverse("forwarding:ports"))
        else:
            rollout = Rollout.objects.filter(server=rule.host, kind=KIND).first()
            url = rollout.get_absolute_url() if rollout else reverse("forwarding:ports")
            return done(request, _("%s is deleted.") % rule, url)
    context = {
        "rule": rule,
        "dangers": dangers(rule.host, Way.of(rule), None),
    }
    return show_form(request, "forwarding/delete_port.html", form, context)


@button
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Try what answers; for everybody who may operate the destination: the trial looks inside it."""
    rule = get_object_or_404(_may_look_inside(request), pk=pk)
    job = services.ask_what_answers(actor_of(request), rule)
    return done(request, _("Trying the way of this port."), rule.get_absolute_url(), {"job": job.pk})


@admin_required
@button
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Read which ports a host uses itself."""
    host = get_object_or_404(Server, pk=pk, is_proxmox=True)
    job = services.read_ports(actor_of(request), host)
    url = f"{reverse('forwarding:new_port')}?host={host.pk}"
    return done(request, _("Reading which ports %s uses itself.") % host, url, {"job": job.pk})
