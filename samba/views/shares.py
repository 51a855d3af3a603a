"""The pages of shares."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from jobs.live import live
from jobs.models import Job
from pages.answers import done, form_data, refused, refused_form, show_form, show_page, wants_json
from pages.buttons import SwitchForm
from pages.lists import Filter, ListPage, asked_number, render_list
from samba.desired_shares import KIND
from samba.forms.shares import DeleteForm, ShareForm
from samba.looking import found_in, free_name
from samba.models import FolderLook, Share
from samba.passwords import NoShareSecret, has_secret, secret_mark
from samba.services import shares as services
from samba.views.common import share_json, visible_share, ways_to
from servers.models import Rollout, RolloutRecord, RolloutState, Server
from servers.views.foretelling import foretells

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


def _filters(rows: QuerySet[Share], *, old: bool) -> tuple[Filter, ...]:
    by_secret = Filter(
        "password",
        gettext_lazy("Password"),
        [("old", gettext_lazy("from an older secret"))],
        lambda all_, _value: all_.exclude(secret_mark=secret_mark()),
    )
    servers = Server.objects.filter(pk__in=rows.values("server")).order_by("name").values_list("pk", "name")
    return (
        Filter(
            "server",
            gettext_lazy("Server"),
            [(str(pk), name) for pk, name in servers],
            lambda all_, pk: all_.filter(server=pk),
        ),
        Filter(
            "write",
            gettext_lazy("Access"),
            [("yes", gettext_lazy("read and write")), ("no", gettext_lazy("read-only"))],
            lambda all_, value: all_.filter(read_only=value == "no"),
        ),
        Filter(
            "active",
            gettext_lazy("Switched"),
            [("on", gettext_lazy("on")), ("off", gettext_lazy("off"))],
            lambda all_, value: all_.filter(active=value == "on"),
        ),
        *([by_secret] if old else []),
    )


@require_http_methods(READ)
def share_list(request: HttpRequest) -> HttpResponse:
    """Every share that the user may see."""
    rows = Share.objects.visible_to(user_of(request))
    old = rows.exclude(secret_mark=secret_mark()).count() if has_secret() else 0
    state = Rollout.objects.filter(server=OuterRef("server"), kind=KIND).values("state")[:1]
    listing = ListPage(
        request,
        rows.select_related("server").annotate(rolled=Subquery(state)),
        search=("name", "folder", "user", "comment", "server__name"),
        sorts={
            "name": ("name", "server__name"),
            "server": ("server__name", "name"),
            "folder": ("folder", "server__name"),
            "user": ("user", "server__name"),
        },
        default_sort="name",
        filters=_filters(rows, old=bool(old)),
    )
    context = {
        "states": RolloutState,
        "has_secret": has_secret(),
        "has_servers": Server.objects.filter(samba_management=True).exists(),
        "old": old,
    }
    return render_list(request, "samba/shares.html", listing, context, share_json)


@require_http_methods(READ)
def share(request: HttpRequest, pk: int) -> HttpResponse:
    """A share: how it stands, and how people connect to it."""
    row = visible_share(request, pk)
    rollout = Rollout.objects.filter(server=row.server, kind=KIND).first()
    if wants_json(request):
        return show_page(request, "", {}, {**share_json(row), "state": rollout.state if rollout else None})
    of_server = Job.objects.visible_to(user_of(request)).of(row.server)
    context = {
        "share": row,
        "ways": ways_to(row),
        "rollout": rollout,
        "record": RolloutRecord.objects.filter(server=row.server, kind=KIND).first(),
        "rolling": live(request, of_server.filter(work="servers.roll_out")),
        "has_secret": has_secret(),
        "old_secret": has_secret() and row.secret_mark != secret_mark(),
    }
    return show_page(request, "samba/share.html", context)


@admin_required
@require_http_methods(BOTH)
@foretells
def new(request: HttpRequest) -> HttpResponse:
    """Make a share; `server` in the query string is filled in, and `folder` as one that lies there already."""
    server = Server.objects.filter(pk=asked_number(request, "server"), samba_management=True).first()
    initial: dict[str, Any] = {"server": server}
    context: dict[str, Any] = {"server": server, "has_secret": has_secret()}
    folder = request.GET.get("folder", "")
    if server and folder:
        initial |= {"folder": folder, "adopt": True, "name": free_name(server, folder)}
        look = FolderLook.objects.filter(server=server, base=server.samba_base_folder).first()
        context |= {"look": look, "found": found_in(look, folder), "folder": folder}
    form = ShareForm(form_data(request), initial=initial)
    return _edit(request, form, "samba/new_share.html", context)


@admin_required
@require_http_methods(BOTH)
@foretells
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a share; server, name and folder stay."""
    row = visible_share(request, pk)
    form = ShareForm(form_data(request), instance=row)
    return _edit(request, form, "samba/edit_share.html", {"share": row, "has_secret": True})


def _edit(request: HttpRequest, form: ShareForm, template: str, context: dict[str, Any]) -> HttpResponse:
    if form.is_bound and form.is_valid():
        filled = form.filled()
        try:
            made = _save(request, form, filled)
            return done(request, _("Saved."), made.get_absolute_url(), share_json(made))
        except ValidationError as error:
            form.refuse(error)
        except (NoShareSecret, services.StaleShare) as error:
            form.add_error(None, str(error))
    return show_form(request, template, form, context)


def _save(request: HttpRequest, form: ShareForm, filled: Share) -> Share:
    actor = actor_of(request)
    if not form.instance.pk:
        return services.create_share(actor, filled)
    return services.change_share(actor, filled, version=form.cleaned_data["version"])


@require_POST
@foretells
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Switch a share on or off (`active`); for owners of its server, too."""
    row = visible_share(request, pk)
    form = SwitchForm(form_data(request))
    if not form.is_valid():
        return refused_form(request, form, row.get_absolute_url())
    active = form.cleaned_data["active"]
    try:
        services.switch_share(actor_of(request), row, active=active)
    except services.StaleShare as error:
        return refused(request, str(error), reverse("samba:shares"))
    off = _("The share is switched off: nobody gets in once that is rolled out.")
    said = _("The share is switched on.") if active else off
    return done(request, said, row.get_absolute_url())


@admin_required
@require_http_methods(BOTH)
@foretells
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a share and its user; what lies in its folder stays."""
    row = visible_share(request, pk)
    form = DeleteForm(form_data(request), share=row)
    if form.is_bound and form.is_valid():
        give_back = form.cleaned_data.get("give_back", False)
        try:
            services.delete_share(actor_of(request), row, give_back=give_back)
        except services.StaleShare as error:
            return refused(request, str(error), reverse("samba:shares"))
        rollout = Rollout.objects.filter(server=row.server, kind=KIND).first()
        url = rollout.get_absolute_url() if rollout else reverse("samba:shares")
        said = _("%(share)s is deleted. What lies in %(folder)s stays there.")
        if give_back:
            said = _("%(share)s is deleted. What lies in %(folder)s is being given back to whom it belonged.")
        return done(request, said % {"share": row, "folder": row.path}, url)
    return show_form(request, "samba/delete_share.html", form, {"share": row})
