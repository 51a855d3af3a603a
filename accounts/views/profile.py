"""What everybody does with the own account: profile, password, API tokens."""

from django.contrib.auth import update_session_auth_hash
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import registry, services
from accounts.actors import actor_of
from accounts.forms import OwnPasswordForm, ProfileForm, TokenForm
from accounts.models import ApiToken
from accounts.permissions import user_of
from accounts.views.second_factor import state_of
from pages.answers import done, form_data, show_form, show_page, wants_json


@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """The own name, address and time zone, and the rooms' panels about oneself."""
    user = user_of(request)
    form = ProfileForm(form_data(request), instance=user)
    if form.is_bound and form.is_valid():
        services.change_user(actor_of(request), user, **form.cleaned_data)
        return done(request, _("Profile saved."), reverse("accounts:profile"))
    context = {"person": user, "panels": registry.panels_of(request, user), **state_of(user)}
    return show_form(request, "accounts/profile.html", form, context)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """A new password for oneself; every other session of this person ends."""
    user = user_of(request)
    form = OwnPasswordForm(form_data(request), request=request, user=user)
    if form.is_bound and form.is_valid():
        changed = services.set_password(actor_of(request), user, form.cleaned_data["password"])
        update_session_auth_hash(request, changed)
        return done(
            request,
            _("Password changed. All your other sessions are signed out."),
            reverse("accounts:profile"),
        )
    return show_form(request, "accounts/password.html", form)


@require_http_methods(["GET", "HEAD"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The own API tokens."""
    rows = list(user_of(request).api_tokens.all())
    data = {"rows": [token_json(token) for token in rows]}
    return show_page(request, "accounts/tokens.html", {"tokens": rows}, data)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_token(request: HttpRequest) -> HttpResponse:
    """A new API token, shown once. A program cannot make itself another token."""
    if getattr(request, "api_token", None):
        raise PermissionDenied(_("Sign in with a browser to make an API token."))
    form = TokenForm(form_data(request), user=user_of(request))
    if not (form.is_bound and form.is_valid()):
        return show_form(request, "accounts/new_token.html", form)
    token, text = services.create_token(
        actor_of(request), user_of(request), name=form.cleaned_data["name"], days=form.cleaned_data["days"]
    )
    if wants_json(request):
        return JsonResponse({"ok": True, "token": text, **token_json(token)})
    return render(request, "accounts/token_made.html", {"token": token, "text": text})


@require_http_methods(["GET", "HEAD", "POST"])
def revoke_token(request: HttpRequest, pk: int) -> HttpResponse:
    """End one of the own tokens; an admin ends anybody's."""
    user = user_of(request)
    rows = ApiToken.objects.select_related("user")
    token = get_object_or_404(rows if user.is_admin else rows.filter(user=user), pk=pk)
    back = reverse("accounts:tokens") if token.user_id == user.pk else token.user.get_absolute_url()
    if request.method == "POST":
        services.revoke_token(actor_of(request), token)
        return done(request, _("“%s” is revoked.") % token.name, back)
    context = {"token": token, "cancel_url": back}
    return show_page(request, "accounts/revoke_token.html", context, token_json(token))


def token_json(token: ApiToken) -> dict[str, object]:
    """What may be known of a token."""
    return {
        "id": token.pk,
        "name": token.name,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
    }
