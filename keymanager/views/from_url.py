"""Keys that lay at an address: who named it sees what was found, and chooses."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.permissions import user_of
from accounts.token_scopes import never_by_token
from keymanager.bad_key import BadKey
from keymanager.forms import ChosenKeysForm, KeysForm
from keymanager.models import KeysFromUrl
from keymanager.services import from_url as services
from keymanager.views.keys import keys_added, keys_url
from pages.answers import done, form_data, refused, show_form, show_page, wants_json
from pages.buttons import button

BOTH = ["GET", "HEAD", "POST"]
SHOWN = ("options", "limited", "type", "bits", "fingerprint", "comment", "weak")


@never_by_token
@require_http_methods(BOTH)
def choose(request: HttpRequest, pk: int) -> HttpResponse:
    """What was found at an address, with a box each; what is ticked is added."""
    asked = _own(request, pk)
    if asked.fetched_at is None or asked.error:
        return _nothing_yet(request, asked)
    found = services.found_at(actor_of(request), asked)
    choices = [(one.number, str(one.key)) for one in found if one.key and not one.refused]
    form = ChosenKeysForm(choices, form_data(request))
    if form.is_valid():
        try:
            added = services.add(actor_of(request), asked, form.cleaned_data["keys"])
        except BadKey as error:
            form.add_error("keys", str(error))
        else:
            return keys_added(request, keys_url(asked.owner, user_of(request)), *added)
    if wants_json(request) and not form.is_bound:
        return _json(asked, keys=[_found_json(one) for one in found])
    context = _context(request, asked) | {"found": found, "choices": choices}
    return show_form(request, "keymanager/from_url.html", form, context)


def _nothing_yet(request: HttpRequest, asked: KeysFromUrl) -> HttpResponse:
    """While it is fetched; or nothing came of it, which is said by the field with the address, to be given anew."""
    error = asked.error
    if not error and not asked.at_work:
        error = _("The address was not asked: the job that was to do it has ended. Try again.")
    if request.method == "POST":
        return refused(request, error or _("The keys are still being fetched."), asked.get_absolute_url())
    if wants_json(request):
        return _json(asked, errors={"keys": [error]} if error else {})
    form = KeysForm({"keys": asked.url})
    form.add_error("keys", error)
    context = _context(request, asked) | {"job": asked.job, "form": form if error else None}
    return show_page(request, "keymanager/from_url.html", context)


@never_by_token
@button
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    """Add none of them, and forget what was found."""
    asked = _own(request, pk)
    url = keys_url(asked.owner, user_of(request))
    if asked.at_work:
        return refused(request, _("The keys are still being fetched."), asked.get_absolute_url())
    services.drop(asked)
    return done(request, _("Nothing was added."), url)


def _own(request: HttpRequest, pk: int) -> KeysFromUrl:
    """What this person asked for, who may still add keys for its owner."""
    user = user_of(request)
    rows = services.waiting_for(user).select_related("person", "unix_user__server", "job")
    asked = get_object_or_404(rows, pk=pk)
    if asked.owner != user and not user.is_admin:
        raise Http404
    return asked


def _context(request: HttpRequest, asked: KeysFromUrl) -> dict[str, Any]:
    back = keys_url(asked.owner, user_of(request))
    unit = asked.unix_user
    again = reverse("keymanager:unix_user_keys", args=[unit.pk]) if unit else back
    return {"asked": asked, "owner": asked.owner, "back": back, "again": again}


def _json(asked: KeysFromUrl, **more: Any) -> HttpResponse:
    state = "fetching" if asked.at_work else "failed" if more.get("errors") else "fetched"
    return JsonResponse({"url": asked.url, "owner": str(asked.owner), "state": state, "keys": [], **more})


def _found_json(one: services.Found) -> dict[str, Any]:
    shown = {name: getattr(one.key, name) for name in SHOWN} if one.key else {}
    return {"number": one.number, "refused": one.refused, **shown}
