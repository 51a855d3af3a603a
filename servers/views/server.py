"""One server: its page, and adding, changing and deleting it and its unix users."""

from django.core.exceptions import ValidationError
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from hosts.errors import HostError
from jobs.live import is_over
from jobs.models import Job
from pages.answers import done, form_data, refused, show_form, show_page
from pages.buttons import takes_no_fields
from servers import registry, services
from servers.forms import DeleteForm, ServerForm, UnixUserForm, way_in_words
from servers.models import Server, UnixUser
from servers.views.common import for_reader, rollout_json, server_json, visible_server
from servers.views.foretelling import foretells

SHOWN = 10  # jobs and history entries on the page


@require_http_methods(["GET", "HEAD"])
def server(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything that touches one server."""
    row = visible_server(request, pk)
    keys = list(row.host_keys.all())
    user = user_of(request)
    rollouts = for_reader(user, row.rollouts.select_related("server", "job"))
    jobs = list(Job.objects.visible_to(user_of(request)).of(row)[:SHOWN])
    context = {
        "server": row,
        "way": _way(row),
        "guests": row.guests.prefetch_related("rollouts") if user_of(request).is_admin else [],
        "panels": registry.panels(request, row),
        "unix_users": row.unix_users.all(),
        "unix_user_form": UnixUserForm(),
        "owners": row.owners.all(),
        "offered": [key for key in keys if not key.pinned_at],
        "pinned": [key for key in keys if key.pinned_at],
        "rollouts": rollouts,
        "to_roll_out": any(rollout.state != "in_sync" for rollout in rollouts),
        "records": for_reader(user, row.rollout_records.select_related("job")[:SHOWN]),
        "jobs": jobs,
        "live_job": next((job for job in jobs if not is_over(job, request)), None),
    }
    data = {
        **server_json(row),
        "host_keys": [{"fingerprint": k.fingerprint, "pinned_at": k.pinned_at} for k in keys],
        "rollouts": [rollout_json(rollout) for rollout in rollouts],
    }
    return show_page(request, "servers/server.html", context, data)


def _way(row: Server) -> str:
    try:
        return way_in_words(row)
    except HostError:
        return ""


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
def new(request: HttpRequest) -> HttpResponse:
    """A new server."""
    initial = {"vm_host": request.GET.get("host"), "is_vm": True} if request.GET.get("host") else {}
    form = ServerForm(form_data(request), initial=initial)
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            row = services.create_server(
                actor_of(request),
                form.instance,
                unix_users=data["unix_users"],
                owners=data["owners"],
                tags=data["tags"],
                nginx_of_host=data["nginx_of_host"],
                nginx_guest=form.nginx_guest,
            )
        except ValidationError as error:  # true a moment ago, and no more
            _put_on(form, error)
        else:
            return done(request, _("%s is in the inventory.") % row, row.get_absolute_url(), {"id": row.pk})
    return show_form(request, "servers/edit.html", form, {"server": None})


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a server's settings."""
    row = visible_server(request, pk)
    form = ServerForm(form_data(request), instance=get_object_or_404(Server, pk=pk))
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            services.change_server(
                actor_of(request),
                form.instance,
                version=data["version"] if data["version"] is not None else row.version,
                owners=data["owners"],
                tags=data["tags"],
            )
        except services.StaleEdit as error:
            form.add_error(None, str(error))
            form.show_version(Server.objects.values_list("version", flat=True).get(pk=pk))
        except ValidationError as error:
            _put_on(form, error)
        else:
            return done(request, _("Saved."), row.get_absolute_url())
    return show_form(request, "servers/edit.html", form, {"server": row})


def _put_on(form: BaseForm, error: ValidationError) -> None:
    for field, errors in error.message_dict.items():
        form.add_error(field if field in form.fields else None, errors)


@admin_required
@require_http_methods(["GET", "HEAD"])
def suggestion(request: HttpRequest) -> HttpResponse:
    """The connection string that fits what is typed so far: a piece of the form's page."""
    form = ServerForm(initial=request.GET.dict())
    return render(request, "servers/_suggestion.html", {"form": form})


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what hangs on a server, and delete it once its name is typed."""
    row = visible_server(request, pk)
    form = DeleteForm(form_data(request))
    if form.is_bound and form.is_valid():
        try:
            services.delete_server(actor_of(request), row, form.cleaned_data["name"])
        except ValidationError as error:
            _put_on(form, error)
        except services.DeleteRefused as error:
            return refused(request, str(error), request.path)
        else:
            return done(request, _("%s is deleted.") % row, reverse("servers:list"))
    held = services.holds_of(row)
    context = {
        "server": row,
        "holds": [one for one in held if not one.blocks],
        "blocked": [one for one in held if one.blocks],
    }
    return show_form(request, "servers/delete.html", form, context)


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
def new_unix_user(request: HttpRequest, pk: int) -> HttpResponse:
    """One more unix user."""
    row = visible_server(request, pk)
    form = UnixUserForm(form_data(request))
    if form.is_bound and form.is_valid():
        try:
            made = services.add_unix_user(actor_of(request), row, form.cleaned_data["name"])
        except ValidationError:
            form.add_error("name", _("This server has this unix user already."))
        else:
            message = _("%s is on the list.") % made
            return done(request, message, row.get_absolute_url(), {"id": made.pk})
    return show_form(request, "servers/new_unix_user.html", form, {"server": row})


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@foretells
@takes_no_fields
def remove_unix_user(request: HttpRequest, pk: int, unix_user_pk: int) -> HttpResponse:
    """Say what goes with a unix user, and take it off the list."""
    row = visible_server(request, pk)
    unix_user = get_object_or_404(UnixUser.objects.select_related("server"), pk=unix_user_pk, server=row)
    if request.method == "POST":
        try:
            services.remove_unix_user(actor_of(request), unix_user)
        except services.DeleteRefused as error:
            return refused(request, str(error), row.get_absolute_url())
        return done(request, _("%s is off the list.") % unix_user, row.get_absolute_url())
    held = registry.held_by_unix_user(unix_user)
    parts = {
        "holds": [one for one in held if not one.blocks],
        "blocked": [one for one in held if one.blocks],
    }
    others = Server.objects.filter(keymanager_name=row.keymanager_name, unix_users__name=unix_user.name)
    sharing = [other.name for other in others.exclude(pk=row.pk).order_by("name")]  # they share one key set
    context = {"server": row, "unix_user": unix_user, "sharing": sharing, **parts}
    told = {name: [str(one.text) for one in of_it] for name, of_it in parts.items()}
    data = {"sharing": sharing, **told}
    return show_page(request, "servers/remove_unix_user.html", context, data)
