"""Pages of keys: one's own, a person's, a server's, all of them."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.actors import actor_of
from accounts.models import User
from accounts.permissions import admin_required, user_of
from accounts.token_scopes import never_by_token, only_read_by_token
from keymanager.bad_key import BadKey
from keymanager.forms import KeysForm, OfferedKeyForm
from keymanager.models import Key, OfferedKey
from keymanager.openssh import RSA_GOOD_BITS, PublicKey
from keymanager.paths import servers_open_to
from keymanager.reading import read_server_keys
from keymanager.services import from_url
from keymanager.services import keys as services
from keymanager.unsent import unsent_keys
from keymanager.words import after_change, concerned_json, stays
from pages.answers import done, form_data, refused, refused_form, show_form, show_page, wants_json
from pages.buttons import button, takes_no_fields
from pages.lists import Filter, ListPage, render_list
from servers.models import Server, UnixUser

READ = ["GET", "HEAD"]
BOTH = ["GET", "HEAD", "POST"]


@only_read_by_token
@require_http_methods(BOTH)
def my_keys(request: HttpRequest) -> HttpResponse:
    """Everybody's own keys: see, add by paste."""
    return _keys_of(request, user_of(request))


@only_read_by_token
@admin_required
@require_http_methods(BOTH)
def person_keys(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody's keys, for an admin."""
    return _keys_of(request, get_object_or_404(User, pk=pk))


def _keys_of(request: HttpRequest, person: User) -> HttpResponse:
    form = KeysForm(form_data(request))
    url = keys_url(person, user_of(request))
    if form.is_valid():
        answer = _add(request, form, person, url)
        if answer is not None:
            return answer
    keys = person.ssh_keys.all()
    context = {"person": person, "keys": keys, "opens": servers_open_to(person).count()}
    if wants_json(request) and not form.is_bound:
        return show_page(request, "", {}, {"keys": [key_json(key) for key in keys]})
    return show_form(request, "keymanager/person_keys.html", form, context)


def keys_url(owner: User | UnixUser, user: Any) -> str:
    """The page with the owner's keys, for this user."""
    if isinstance(owner, UnixUser):
        return reverse("keymanager:server_keys", args=[owner.server_id])
    if owner.pk == user.pk:
        return reverse("keymanager:my_keys")
    return reverse("keymanager:person_keys", args=[owner.pk])


def _add(request: HttpRequest, form: KeysForm, owner: User | UnixUser, url: str) -> HttpResponse | None:
    """The answer after adding, or after asking an address; None when the form now says why not."""
    try:
        if form.url:
            asked = from_url.ask(actor_of(request), owner, form.url)
            words = _("The keys are being fetched. None of them counts before you choose it.")
            return done(request, words, asked.get_absolute_url(), {"id": asked.pk})
        added = services.add_keys(actor_of(request), owner, form.text)
    except BadKey as error:
        form.add_error("keys", str(error))
        return None
    return keys_added(request, url, *added)


def keys_added(
    request: HttpRequest, url: str, keys: list[Key], names: set[str], repeats: list[PublicKey]
) -> HttpResponse:
    """The answer to keys that were added; see add_keys."""
    said = ngettext("%d key added.", "%d keys added.", len(keys)) % len(keys)
    if repeats:
        words = ngettext("%d line was a repeat.", "%d lines were repeats.", len(repeats))
        said += " " + words % len(repeats) + _with_other_options(keys[0].owner, repeats)
    if any(key.weak for key in keys):
        said += " " + _("RSA under 3072 bits is weak: replace it with an Ed25519 key soon.")
    message = after_change(said, names, user_of(request))
    return done(request, message, url, {"keys": [key_json(key) for key in keys]})


def _with_other_options(owner: User | UnixUser, repeats: list[PublicKey]) -> str:
    """Of which repeats the options were left out, too: who pasted them may believe the key restricted, or freed."""
    held = dict(owner.ssh_keys.values_list("fingerprint", "options"))
    unlike = {
        key.fingerprint: None for key in repeats if held.get(key.fingerprint, key.options) != key.options
    }
    return " " + _("Its options stay as they are here: %s.") % ", ".join(unlike) if unlike else ""


@only_read_by_token
@require_http_methods(BOTH)
@takes_no_fields
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Delete a key; people their own, admins any."""
    key = get_object_or_404(Key.objects.select_related("person", "unix_user__server"), pk=pk)
    if key.person_id != user_of(request).pk and not user_of(request).is_admin:
        raise Http404
    url = keys_url(key.owner, user_of(request))
    concerned = Server.objects.filter(keymanager_name__in=services.names_of_owner(key.owner))
    if request.method == "POST":
        names = services.delete_key(actor_of(request), key)
        return done(request, after_change(_("Key deleted."), names, user_of(request)), url)
    held = concerned.visible_to(user_of(request)).order_by("name")
    data = concerned_json(concerned, held)
    context = {
        "key": key,
        "owner": key.owner,
        "concerned": data["concerned"],
        "stays": stays(data["not_fetching"], data["concerned"]),
        "named": held[:20],
        "back": url,
    }
    return show_page(request, "keymanager/delete_key.html", context, {"key": key_json(key), **data})


def _by_owner(rows: QuerySet[Key], kind: str) -> QuerySet[Key]:
    return rows.filter(person__isnull=kind != "people")


def _by_strength(rows: QuerySet[Key], _value: str) -> QuerySet[Key]:
    return rows.filter(type="ssh-rsa", bits__lt=RSA_GOOD_BITS)


def _by_sent(rows: QuerySet[Key], _value: str) -> QuerySet[Key]:
    return rows.filter(pk__in=unsent_keys())


@admin_required
@require_http_methods(READ)
def all_keys(request: HttpRequest) -> HttpResponse:
    """Every key of the panel."""
    listing = ListPage(
        request,
        Key.objects.select_related("person", "unix_user__server"),
        search=(
            "comment",
            "fingerprint",
            "type",
            "person__username",
            "person__full_name",
            "unix_user__name",
            "unix_user__server__name",
        ),
        sorts={
            "owner": ("person__username", "unix_user__server__name", "unix_user__name"),
            "type": ("type", "bits"),
            "comment": "comment",
            "added": "added_at",
        },
        default_sort="-added",
        filters=(
            Filter(
                "of",
                gettext_lazy("Of"),
                [("people", gettext_lazy("people")), ("servers", gettext_lazy("servers"))],
                _by_owner,
            ),
            Filter("strength", gettext_lazy("Strength"), [("weak", gettext_lazy("weak"))], _by_strength),
            Filter("sent", gettext_lazy("Sent"), [("no", gettext_lazy("to no server"))], _by_sent),
        ),
    )
    return render_list(request, "keymanager/keys.html", listing, row_json=key_json)


@require_http_methods(READ)
def server_keys(request: HttpRequest, pk: int) -> HttpResponse:
    """A server's keys by unix user; owners see them, admins change them."""
    server = get_object_or_404(Server.objects.visible_to(user_of(request)), pk=pk)
    return _server_keys(request, server)


def _server_keys(
    request: HttpRequest, server: Server, form: KeysForm | None = None, bound: UnixUser | None = None
) -> HttpResponse:
    units = server.unix_users.prefetch_related("ssh_keys", "offered_keys")
    rows = [(unit, form if unit == bound else KeysForm(auto_id=f"id_{unit.pk}_%s")) for unit in units]
    if form is not None:
        context = {"server": server, "rows": rows, "form": form}
        return show_form(request, "keymanager/server_keys.html", form, context)
    data = {unit.name: [key_json(key) for key in unit.ssh_keys.all()] for unit in units}
    return show_page(request, "keymanager/server_keys.html", {"server": server, "rows": rows}, {"keys": data})


@never_by_token
@admin_required
@require_POST
def add_unix_user_keys(request: HttpRequest, pk: int) -> HttpResponse:
    """Add keys to a server's unix user."""
    unit = get_object_or_404(UnixUser.objects.select_related("server"), pk=pk)
    form = KeysForm(form_data(request), auto_id=f"id_{unit.pk}_%s")
    if form.is_valid():
        answer = _add(request, form, unit, keys_url(unit, user_of(request)))
        if answer is not None:
            return answer
    return _server_keys(request, unit.server, form, unit)


@admin_required
@button
def read_keys(request: HttpRequest, pk: int) -> HttpResponse:
    """Have a worker read the public keys that lie on the server."""
    server = get_object_or_404(Server, pk=pk)
    job = read_server_keys(actor_of(request), server)
    return done(request, _("Reading the keys of %s.") % server, job.get_absolute_url(), {"job": job.pk})


@never_by_token
@admin_required
@require_POST
def offered(request: HttpRequest, pk: int) -> HttpResponse:
    """Take (`take`) or dismiss a key that was read from a server."""
    row = get_object_or_404(OfferedKey.objects.select_related("unix_user__server"), pk=pk)
    url = keys_url(row.unix_user, user_of(request))
    form = OfferedKeyForm(form_data(request))
    if not form.is_valid():
        return refused_form(request, form, url)
    if not form.cleaned_data["take"]:
        services.dismiss_offered_key(actor_of(request), row)
        return done(request, _("The key was not taken."), url)
    try:
        _keys, names = services.accept_offered_key(actor_of(request), row)
    except BadKey as error:
        return refused(request, str(error), url)
    return done(request, after_change(_("Key added."), names, user_of(request)), url)


def key_json(key: Key) -> dict[str, Any]:
    """A key as JSON."""
    return {
        "id": key.pk,
        "owner": str(key.owner),
        "options": key.options,
        "type": key.type,
        "bits": key.bits,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "weak": key.weak,
        "limited": key.limited,
        "ends_at": key.ends_at,
        "sent": key.sent,
        "added_at": key.added_at,
    }
