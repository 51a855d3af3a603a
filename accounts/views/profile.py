"""What everybody does with the own account: profile and password."""

from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import registry, services
from accounts.actors import actor_of
from accounts.forms import OwnPasswordForm, ProfileForm
from accounts.permissions import user_of
from accounts.token_scopes import only_read_by_token
from accounts.views.second_factor import state_of
from pages.answers import done, form_data, show_form


@only_read_by_token
@sensitive_post_parameters("current")
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """The own name, address and time zone, and the rooms' panels about oneself."""
    user = user_of(request)
    form = ProfileForm(form_data(request), instance=user, request=request)
    if form.is_bound and form.is_valid():
        services.change_user(actor_of(request), user, **form.cleaned_data)
        return done(request, _("Profile saved."), reverse("accounts:profile"))
    context = {"person": user, "panels": registry.panels_of(request, user), **state_of(user)}
    return show_form(request, "accounts/profile.html", form, context)


@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """A new password for oneself; every other session and all API tokens of this person end."""
    user = user_of(request)
    form = OwnPasswordForm(form_data(request), request=request, user=user)
    if form.is_bound and form.is_valid():
        changed = services.set_password(actor_of(request), user, form.cleaned_data["password"])
        update_session_auth_hash(request, changed)
        return done(
            request,
            _("Password changed. All your other sessions and your API tokens have ended."),
            reverse("accounts:profile"),
        )
    return show_form(request, "accounts/password.html", form)
