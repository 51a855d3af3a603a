"""Pages of groups: list, one group with its members and where it is allowed, edit, delete."""

from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.permissions import admin_required, user_of
from keymanager.forms import GroupForm, RowsForm
from keymanager.models import Group
from keymanager.services import groups as services
from keymanager.services.groups import PARTS, Part
from keymanager.services.recommended import RECOMMENDED, make_recommended_group, missing_recommended
from keymanager.touched import names_of_groups
from keymanager.words import after_change, concerned, concerned_json, stays
from pages.answers import done, form_data, refused, refused_form, show_form, show_page, wants_json
from pages.buttons import button, takes_no_fields
from pages.limits import LONGEST_SEARCH
from pages.lists import ListPage, render_list, typed
from servers.models import Server

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]
MOST_CANDIDATES = 25


@admin_required
@require_http_methods(READ)
def group_list(request: HttpRequest) -> HttpResponse:
    """All groups, and those to start with."""
    rows = Group.objects.annotate(
        people=Count("member_users", distinct=True),
        servers=Count("member_servers", distinct=True),
        keys=Count("member_keys", distinct=True),
        on_servers=Count("allowed_servers", distinct=True),
        on_units=Count("allowed_unix_users", distinct=True),
    )
    listing = ListPage(
        request, rows, search=("name", "description"), sorts={"name": "name"}, default_sort="name"
    )
    context = {"recommended": missing_recommended()}
    return render_list(request, "keymanager/groups.html", listing, context, group_json)


@admin_required
@require_http_methods(BOTH)
def new(request: HttpRequest) -> HttpResponse:
    """Make a group."""
    form = GroupForm(form_data(request))
    if form.is_valid():
        made = services.create_group(actor_of(request), **form.cleaned_data)
        said = _("The group %s is there. Now add members, and where it is allowed.") % made
        return done(request, said, made.get_absolute_url(), {"id": made.pk})
    return show_form(request, "keymanager/new_group.html", form)


@admin_required
@button
def recommended(request: HttpRequest, key: str) -> HttpResponse:
    """Make one of the groups to start with."""
    if key not in RECOMMENDED:
        raise Http404
    try:
        made = make_recommended_group(actor_of(request), key)
    except ValueError:
        return refused(request, _("There is a group with this name already."), reverse("keymanager:groups"))
    said = after_change(_("The group %s is there.") % made, names_of_groups([made]), user_of(request))
    return done(request, said, made.get_absolute_url(), {"id": made.pk})


@admin_required
@require_http_methods(READ)
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """A group: `part` chooses one of its five lists, `add` finds what else could be in it."""
    row = get_object_or_404(Group, pk=pk)
    part = PARTS.get(request.GET.get("part", ""), PARTS["member_users"])
    have = _with_details(part, part.rows().filter(pk__in=getattr(row, part.name).order_by().values("pk")))
    listing = ListPage(
        request,
        have,
        search=part.search,
        sorts={"name": part.search[-1]},
        default_sort="name",
        beside=("part", "add"),
    )
    if wants_json(request):
        if (request.GET.get("part") or part.name) not in PARTS:
            raise BadRequest(_("There is no such part. There are: %s.") % ", ".join(PARTS))
        return render_list(request, "", listing, row_json=_row_json)
    others = part.rows().exclude(pk__in=getattr(row, part.name).order_by().values("pk"))
    find = typed(request, "add")[:LONGEST_SEARCH]
    narrowed = ListPage(request, others, search=part.search)
    narrowed.query = find
    candidates = list(narrowed.matching()[: MOST_CANDIDATES + 1])
    context = {
        "group": row,
        "part": part,
        "tabs": [(each, getattr(row, each.name).count()) for each in PARTS.values()],
        "listing": listing,
        "find": find,
        "candidates": candidates[:MOST_CANDIDATES],
        "more": len(candidates) > MOST_CANDIDATES,
        "concerned": Server.objects.filter(keymanager_name__in=names_of_groups([row])).count(),
    }
    return show_page(request, "keymanager/group.html", context)


def _with_details(part: Part, rows: QuerySet[Any]) -> QuerySet[Any]:
    """The rows with what the page says of each: its keys, or its unix users."""
    if part.name == "member_users":
        return rows.annotate(keys=Count("ssh_keys"))
    if part.name == "member_servers":
        return rows.annotate(keys=Count("unix_users__ssh_keys"))
    if part.name == "allowed_servers":
        return rows.prefetch_related("unix_users")
    return rows


@admin_required
@require_http_methods(BOTH)
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Change name, description, and whether the panel's key is a member."""
    row = get_object_or_404(Group, pk=pk)
    form = GroupForm(form_data(request), instance=row)
    if form.is_valid():
        names = services.change_group(actor_of(request), row, **form.cleaned_data)
        return _done(request, _("Saved."), names, row.get_absolute_url())
    field = form.fields["includes_panel"]
    field.help_text = f"{field.help_text} {concerned(names_of_groups([row]), user_of(request))}".strip()
    return show_form(request, "keymanager/edit_group.html", form, {"group": Group.objects.get(pk=pk)})


@admin_required
@require_http_methods(BOTH)
@takes_no_fields
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a group; first says what access falls away."""
    row = get_object_or_404(Group, pk=pk)
    if request.method == "POST":
        names = services.delete_group(actor_of(request), row)
        said = _("The group %s is deleted.") % row.name
        return _done(request, said, names, reverse("keymanager:groups"))
    servers = Server.objects.filter(keymanager_name__in=names_of_groups([row])).order_by("name")
    parts = [
        (part, list(getattr(row, part.name).all()[:20]), getattr(row, part.name).count())
        for part in PARTS.values()
    ]
    data = concerned_json(servers, servers)
    told = {"concerned": data["concerned"], "stays": stays(data["not_fetching"], data["concerned"])}
    context = {"group": row, "parts": parts, "servers": servers[:20], **told}
    return show_page(request, "keymanager/delete_group.html", context, {**group_json(row), **data})


@admin_required
@require_POST
def add(request: HttpRequest, pk: int, part: str) -> HttpResponse:
    """Put the chosen `rows` into one of the group's lists."""
    row, chosen = get_object_or_404(Group, pk=pk), _part(part)
    url = f"{row.get_absolute_url()}?part={part}"
    form = RowsForm(chosen.rows(), form_data(request))
    if not form.is_valid():
        return refused_form(request, form, url)
    names = services.add_to_group(actor_of(request), row, part, form.cleaned_data["rows"])
    return _done(request, _("Added."), names, url)


@admin_required
@button
def remove(request: HttpRequest, pk: int, part: str, row: int) -> HttpResponse:
    """Take a row out of one of the group's lists."""
    found, chosen = get_object_or_404(Group, pk=pk), _part(part)
    names = services.remove_from_group(
        actor_of(request), found, part, get_object_or_404(chosen.rows(), pk=row)
    )
    return _done(request, _("Removed."), names, f"{found.get_absolute_url()}?part={part}")


def _part(name: str) -> Part:
    if name not in PARTS:
        raise Http404
    return PARTS[name]


def _done(request: HttpRequest, said: str, names: set[str], url: str) -> HttpResponse:
    return done(request, after_change(said, names, user_of(request)), url, {"names": sorted(names)})


def _row_json(row: Any) -> dict[str, Any]:
    return {"id": row.pk, "name": str(row)}


def group_json(row: Group) -> dict[str, Any]:
    """A group as JSON."""
    return {
        "id": row.pk,
        "name": row.name,
        "description": row.description,
        "includes_panel": row.includes_panel,
        **{name: list(getattr(row, name).values_list("pk", flat=True)) for name in PARTS},
    }
