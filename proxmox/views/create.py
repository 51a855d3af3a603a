"""Create a container: choose the host, fill in the form, watch it, try again."""

from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required
from jobs.live import live
from jobs.models import Job
from keymanager.keysets import key_sets
from pages.answers import PREVIEW, done, form_data, refused, show_form, show_page, wants_json
from pages.buttons import button
from pages.lists import asked_number
from pages.preview import answers_preview
from pages.second_word import SecondWordNeeded, ask
from proxmox.addresses import NoAddress, gateway_of, next_free, settings_of
from proxmox.create_options import plain_options
from proxmox.forms.create import CreateForm, data_of
from proxmox.models import Creation, GuestSeen, Offer
from proxmox.passwords import NoPasswordSecret
from proxmox.services import create as services
from proxmox.services.create import READ_OFFER, CreateRefused
from servers.identity import panel_identity
from servers.models import Server

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


@admin_required
@answers_preview
@require_http_methods(BOTH)
def new(request: HttpRequest) -> HttpResponse:
    """Create a container; `host` (an id) says where, `server` fills in its name, `from` an earlier create."""
    before = Creation.objects.select_related("host").filter(pk=asked_number(request, "from")).first()
    server = Server.objects.select_related("vm_host").filter(pk=asked_number(request, "server")).first()
    host = _host(request, before, server)
    if host is None:
        return _choose_host(request)
    offer = Offer.objects.filter(host=host).first()
    data = form_data(request)
    if data is None and before is not None:
        form = CreateForm(data_of(before), host=host, offer=offer)
        form.refuse(before.errors)
        return show_page(
            request, "proxmox/new_container.html", {"form": form, **_context(request, host, offer)}
        )
    form = CreateForm(data, host=host, offer=offer, initial=_initial(host, server))
    if form.is_bound and form.is_valid():
        if PREVIEW in (data or {}):
            return _preview(request, form, offer)
        try:
            effects = services.rolled_out_by(actor_of(request), form.wanted())
            ask(SecondWordNeeded([one.sentence for one in effects]))
            made = services.create_container(actor_of(request), form.wanted())
        except ValidationError as error:
            form.refuse(error.message_dict)
        except NoPasswordSecret as error:
            form.add_error(None, str(error))
        else:
            said = _("%s is being created.") % made
            return done(request, said, made.get_absolute_url(), creation_json(made))
    return show_form(request, "proxmox/new_container.html", form, _context(request, host, offer))


def _host(request: HttpRequest, before: Creation | None, server: Server | None) -> Server | None:
    """The host that is meant; the only one, where there is one."""
    if before is not None:
        return before.host
    hosts = Server.objects.filter(is_proxmox=True)
    if wanted := asked_number(request, "host"):
        return hosts.filter(pk=wanted).first()
    if server is not None and server.vm_host is not None and server.vm_host.is_proxmox:
        return server.vm_host
    found = list(hosts[:2])
    return found[0] if len(found) == 1 else None


def _choose_host(request: HttpRequest) -> HttpResponse:
    hosts = Server.objects.filter(is_proxmox=True).select_related("offer")
    if wants_json(request) and request.method == "POST":
        errors = {"host": [_("Name the host: ?host= and its id.")]}
        return JsonResponse({"ok": False, "errors": errors}, status=422)
    data = {"hosts": [{"id": host.pk, "name": host.name} for host in hosts]}
    return show_page(request, "proxmox/choose_host.html", {"hosts": hosts}, data)


def _initial(host: Server, server: Server | None) -> dict[str, Any]:
    """What is filled in."""
    settings = settings_of(host)
    initial: dict[str, Any] = {
        "gateway": gateway_of(host, settings),
        "bridge": settings.bridge,
        "name_servers": settings.name_servers,
    }
    with suppress(NoAddress):  # the service says so, by the field
        initial["address"] = (server.internal_ip if server else "") or next_free(host)
    if server is not None:
        initial["name"] = server.name
        keys = key_sets([server.keymanager_name]).get(server.keymanager_name, {}).get("root", ())
        initial["ssh_keys"] = "\n".join(key.text for key in keys if not key.options)
    return initial


def _context(request: HttpRequest, host: Server, offer: Offer | None) -> dict[str, Any]:
    reading = live(request, Job.objects.of(host).filter(work=READ_OFFER))
    names = Server.objects.filter(vm_host=host, created_by=None).values_list("name", flat=True)
    return {
        "host": host,
        "offer": offer,
        "reading": reading,
        "names": names[:500],
        "panel_key": panel_identity().public_key,
    }


def _preview(request: HttpRequest, form: CreateForm, offer: Offer | None) -> HttpResponse:
    """What Proxmox would be asked for; nothing is changed, and no address claimed."""
    try:
        planned = services.plan_of(form.wanted())
        effects = services.rolled_out_by(actor_of(request), form.wanted())
    except ValidationError as error:
        form.refuse(error.message_dict)
        return show_form(request, "proxmox/new_container.html", form, _context(request, form.host, offer))
    except NoPasswordSecret as error:
        form.add_error(None, str(error))
        return show_form(request, "proxmox/new_container.html", form, _context(request, form.host, offer))
    if wants_json(request):
        told = [one.as_json() for one in effects]
        return JsonResponse({"ok": True, "plan": planned, PREVIEW: told})
    context = {**_context(request, form.host, offer), "plan": planned, "effects": effects}
    return show_form(request, "proxmox/new_container.html", form, context)


@admin_required
@require_http_methods(READ)
def creation(request: HttpRequest, pk: int) -> HttpResponse:
    """One create: how far it is, or how it ended."""
    row = get_object_or_404(Creation.objects.select_related("host", "server", "job"), pk=pk)
    offered = [] if row.open else list(row.server.host_keys.filter(pinned_at__isnull=True))
    context = {
        "creation": row,
        "options": [(name, str(value).strip()) for name, value in plain_options(row).items()],
        "errors": [(name, text) for name, texts in row.errors.items() for text in texts],
        "offered": offered,
        "guest": GuestSeen.objects.present().filter(host=row.host, vmid=row.vmid or 0).first(),
        "keys": len(row.ssh_keys.splitlines()) + 1,
    }
    return show_page(request, "proxmox/creation.html", context, creation_json(row))


def creation_json(row: Creation) -> dict[str, Any]:
    """A create as JSON."""
    return {
        "id": row.pk,
        "name": row.hostname,
        "server": row.server_id,
        "host": row.host_id,
        "address": row.address,
        "vmid": row.vmid,
        "state": row.state,
        "why": row.why,
        "errors": row.errors,
        "job": row.job_id,
    }


@admin_required
@button
def again(request: HttpRequest, pk: int) -> HttpResponse:
    """Try a create that failed once more, with the same settings."""
    row = get_object_or_404(Creation.objects.select_related("host", "server"), pk=pk)
    try:
        services.try_again(actor_of(request), row)
    except (CreateRefused, NoPasswordSecret) as error:
        return refused(request, str(error), row.get_absolute_url())
    return done(request, _("Trying again."), row.get_absolute_url(), {"id": row.pk})


@admin_required
@button
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Read what a host offers for new containers."""
    host = get_object_or_404(Server, pk=pk, is_proxmox=True)
    job = services.read_offer(actor_of(request), host)
    url = f"{reverse('proxmox:create')}?host={host.pk}"
    return done(request, _("Reading what %s offers.") % host, url, {"job": job.pk})
