"""What people do with guests: power, settings, snapshots, destroying. A guest is named by host, kind, id, name."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from jobs.live import live
from jobs.models import ENDED, Job
from pages.answers import done, form_data, refused, refused_form, show_form, show_page, wants_json
from pages.sent import Sent
from proxmox.client import names
from proxmox.client.errors import BadName
from proxmox.forms.guests import DestroyForm, PowerForm, ReadForm, SettingsForm, SnapshotForm
from proxmox.guests import GuestRef, identity_of, may_operate, page_of, server_of
from proxmox.models import GuestReading, GuestSeen
from proxmox.services import guests as services
from proxmox.views.common import proxmox_host
from servers.registry import held_by

FRESH = timedelta(minutes=10)
READ_FIRST = gettext_lazy("Have its settings read first: what is known of it is too old.")


def _guest(request: HttpRequest, pk: int, kind: str, vmid: int, name: str) -> GuestRef:
    """The guest that is meant. 404 for what none can be."""
    try:
        names.kind(kind)
        names.vmid(vmid)
    except BadName as error:
        raise Http404 from error
    return GuestRef(proxmox_host(request, pk), kind, vmid, name)


def _seen(guest: GuestRef) -> QuerySet[GuestSeen]:
    rows = GuestSeen.objects.present().filter(host=guest.host, kind=guest.kind, vmid=guest.vmid)
    return rows.filter(name=guest.name) if guest.name else rows


def _reading(guest: GuestRef) -> GuestReading | None:
    """What was last read of it, if that is not long ago."""
    return _readings(guest).filter(read_at__gt=timezone.now() - FRESH).first()


def _readings(guest: GuestRef) -> QuerySet[GuestReading]:
    return GuestReading.objects.filter(host=guest.host, kind=guest.kind, vmid=guest.vmid)


def _last_known(request: HttpRequest, guest: GuestRef) -> GuestReading | None:
    """What a change starts from where nothing was read lately; None where it has to be read first.

    A form that stayed open for long has the digest of what it was filled with, so that Proxmox refuses it where
    somebody else has changed the guest since. A program says which settings it means: for those nothing need be known.
    """
    data = form_data(request)
    if data is not None and data.get("digest"):
        return _readings(guest).filter(config__digest=data["digest"]).first()
    seen = _seen(guest).first()
    if not isinstance(data, Sent) or not (guest.name or seen):
        return None
    name, config = (seen.name, seen.config) if seen else (guest.name, {})
    return GuestReading(host=guest.host, kind=guest.kind, vmid=guest.vmid, name=name, config=config)


@require_POST
def power(request: HttpRequest, pk: int, kind: str, vmid: int, action: str) -> HttpResponse:
    """Start, shut down, stop or reboot a guest; also for the owners of the server that it is."""
    form = PowerForm(form_data(request), action=action)
    good = form.is_valid()
    guest = _guest(request, pk, kind, vmid, form.cleaned_data.get("name", ""))
    if not may_operate(user_of(request), guest):
        raise PermissionDenied(_("Only an admin or an owner of this guest may do this."))
    if not good:
        return refused_form(request, form, guest.host.get_absolute_url())
    if action not in services.ACTIONS:
        raise Http404
    if action == "start" and _seen(guest).filter(template=True).exists():
        said = _("%s is a template: it cannot start. Make a container or machine from it.") % guest
        return refused(request, said, page_of(guest) or guest.host.get_absolute_url())
    job = services.operate_guest(actor_of(request), guest, action, force=form.cleaned_data["force"])
    return done(request, str(job.title), page_of(guest) or job.get_absolute_url(), {"job": job.pk})


@admin_required
@require_POST
def read_guest(request: HttpRequest, pk: int, kind: str, vmid: int) -> HttpResponse:
    """Have the settings read, and go on to the form; with `then` "snapshots" to those."""
    form = ReadForm(form_data(request))
    named = form.is_valid()
    guest = _guest(request, pk, kind, vmid, form.cleaned_data["name"] if named else "")
    if not named:
        return refused_form(request, form, guest.host.get_absolute_url())
    job = services.read_guest(actor_of(request), guest)
    pages = {"snapshots": "guest_snapshots", "destroy": "destroy_guest"}
    page = pages.get(form.cleaned_data["then"], "edit_guest")
    url = f"{_url(page, guest)}?{urlencode({'name': guest.name})}"
    return done(request, _("Its settings are being read."), url, {"job": job.pk})


def _url(name: str, guest: GuestRef) -> str:
    return reverse(f"proxmox:{name}", args=[guest.host.pk, guest.kind, guest.vmid])


def _context(request: HttpRequest, guest: GuestRef, reading: GuestReading | None) -> dict[str, Any]:
    jobs = Job.objects.of(guest.host).filter(args__vmid=guest.vmid, args__kind=guest.kind).order_by("-pk")
    return {
        "guest": guest,
        "reading": reading,
        "job": live(request, jobs),
        "last": jobs.filter(state__in=ENDED).first(),
        "server": server_of(guest),
    }


def _asked(request: HttpRequest, pk: int, kind: str, vmid: int) -> tuple[GuestRef, GuestReading | None]:
    """The guest of a page, called as it was last read or as the link says, and what was read."""
    guest = _guest(request, pk, kind, vmid, str(request.GET.get("name", ""))[:255])
    reading = _reading(guest)
    return (replace(guest, name=reading.name) if reading else guest), reading


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_guest(request: HttpRequest, pk: int, kind: str, vmid: int) -> HttpResponse:
    """Change a guest's settings, as they were just read; the job says what waits for the next start.

    Of a program, who names what it means, what was read counts only where it says so: by its digest.
    """
    guest, reading = _asked(request, pk, kind, vmid)
    if reading is None and request.method == "POST":
        reading = _last_known(request, guest)
        if reading is None:
            return refused(request, str(READ_FIRST), request.get_full_path())
        guest = replace(guest, name=reading.name)
    if reading is None:
        context = _context(request, guest, None)
        return show_page(request, "proxmox/edit_guest.html", context, {"reading": None})
    form = SettingsForm(form_data(request), reading=reading)
    if form.is_bound and form.is_valid():
        changes = form.changes()
        if not changes:
            return done(request, _("Nothing was changed."), request.path)
        digest = form.cleaned_data["digest"]
        if not digest and not isinstance(form.data, Sent):
            digest = reading.config.get("digest", "")
        job = services.change_guest(actor_of(request), guest, changes, digest=digest)
        return done(request, str(job.title), job.get_absolute_url(), {"job": job.pk, "changes": changes})
    return show_form(request, "proxmox/edit_guest.html", form, _context(request, guest, reading))


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def guest_snapshots(request: HttpRequest, pk: int, kind: str, vmid: int) -> HttpResponse:
    """The snapshots of a guest, as they were just read; make one, go back to one, give one up."""
    guest, reading = _asked(request, pk, kind, vmid)
    if reading is None and request.method == "POST":
        return refused(request, str(READ_FIRST), request.path)
    form = SnapshotForm(form_data(request), initial={"name": guest.name})
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        named = replace(guest, name=data["name"])
        job = services.snapshot_guest(
            actor_of(request), named, data["action"] or "make", data["snapshot"], data["description"]
        )
        return done(request, str(job.title), job.get_absolute_url(), {"job": job.pk})
    if wants_json(request) and not form.is_bound:
        return show_page(request, "", {}, {"snapshots": reading.snapshots if reading else None})
    return show_form(request, "proxmox/snapshots.html", form, _context(request, guest, reading))


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def destroy_guest(request: HttpRequest, pk: int, kind: str, vmid: int) -> HttpResponse:
    """Say what points to a guest, and have it destroyed once its name is typed."""
    guest, reading = _asked(request, pk, kind, vmid)
    form = DestroyForm(form_data(request), initial={"name": guest.name})
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        named = replace(guest, name=data["name"])
        identity = identity_of(reading.config) if reading and reading.name == named.name else ""
        try:
            job = services.destroy_guest(
                actor_of(request), named, data["typed_name"], stop_first=data["stop_first"], identity=identity
            )
        except ValidationError as error:
            form.add_error("typed_name", error.message_dict["typed_name"])
        else:
            return done(request, str(job.title), job.get_absolute_url(), {"job": job.pk})
    context = _context(request, guest, reading)
    context["holds"] = held_by(context["server"]) if context["server"] else []
    return show_form(request, "proxmox/destroy_guest.html", form, context)
