"""The own API tokens: what there is, what each was used for, a new one, and its end."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import tokens as services
from accounts.actors import actor_of
from accounts.models import ApiToken, TokenUse
from accounts.permissions import user_of
from accounts.token_form import TokenForm
from accounts.token_scopes import EVERYTHING, only_read_by_token, words_of
from pages.answers import done, form_data, show_form, show_page, wants_json
from pages.buttons import takes_no_fields


@only_read_by_token
@require_http_methods(["GET", "HEAD"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The own API tokens."""
    rows = list(user_of(request).api_tokens.all())
    data = {"rows": [token_json(token) for token in rows]}
    old = any(EVERYTHING in token.scopes for token in rows)
    return show_page(request, "accounts/tokens.html", {"tokens": with_words(rows), "old": old}, data)


def with_words(rows: list[ApiToken]) -> list[tuple[ApiToken, list[str], TokenUse | None]]:
    """Each with what it may, and its last use."""
    last: dict[int, TokenUse] = {}
    for use in TokenUse.objects.filter(token__in=rows):  # the newest first, and few of each
        last.setdefault(use.token_id, use)
    return [(token, words_of(token.scopes), last.get(token.pk)) for token in rows]


@only_read_by_token
@require_http_methods(["GET", "HEAD"])
def token(request: HttpRequest, pk: int) -> HttpResponse:
    """One token: what it may, until when, and what it was used for last."""
    found = _visible(request, pk)
    uses = list(found.uses.all())
    context = {"token": found, "words": words_of(found.scopes), "uses": uses, "back": _back(request, found)}
    data = {**token_json(found), "uses": [use_json(use) for use in uses]}
    return show_page(request, "accounts/token.html", context, data)


@never_cache
@sensitive_post_parameters("current")
@sensitive_variables("text")
@require_http_methods(["GET", "HEAD", "POST"])
def new_token(request: HttpRequest) -> HttpResponse:
    """A new API token, shown once; asks for the password."""
    user = user_of(request)
    form = TokenForm(form_data(request), request=request, user=user)
    if not (form.is_bound and form.is_valid()):
        return show_form(request, "accounts/new_token.html", form)
    made, text = services.create_token(
        actor_of(request), user, **{name: form.cleaned_data[name] for name in ("name", "days", "scopes")}
    )
    if wants_json(request):
        return JsonResponse({"ok": True, "token": text, **token_json(made)})
    context = {"token": made, "text": text, "words": words_of(made.scopes)}
    return render(request, "accounts/token_made.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@takes_no_fields
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of the own tokens; an admin ends anybody's."""
    found = _visible(request, pk)
    back = _back(request, found)
    if request.method == "POST":
        services.revoke_token(actor_of(request), found)
        return done(request, _("“%s” is revoked.") % found.name, back)
    context = {"token": found, "cancel_url": back}
    return show_page(request, "accounts/revoke_token.html", context, token_json(found))


def _visible(request: HttpRequest, pk: int) -> ApiToken:
    user, rows = user_of(request), ApiToken.objects.select_related("user")
    return get_object_or_404(rows if user.is_admin else rows.filter(user=user), pk=pk)


def _back(request: HttpRequest, token: ApiToken) -> str:
    own = token.user_id == user_of(request).pk
    return reverse("accounts:tokens") if own else token.user.get_absolute_url()


def token_json(token: ApiToken) -> dict[str, Any]:
    """What may be known of a token."""
    return {
        "id": token.pk,
        "name": token.name,
        "scopes": token.scopes,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
    }


def use_json(use: TokenUse) -> dict[str, Any]:
    """One use."""
    return {name: getattr(use, name) for name in ("at", "address", "method", "path", "status")}
