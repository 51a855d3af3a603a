"""Signing in and out, the panel's first page, and the choice of colours."""

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit, services
from accounts.actors import Actor, actor_of
from accounts.forms import SetupForm, SignInForm
from accounts.models import User
from accounts.permissions import user_of
from pages.answers import done, form_data, refused, show_form, wants_json
from pages.context import THEMES


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """User name and password; ten wrong ones shut the name out from that address for a while."""
    if not User.objects.exists():
        return redirect("accounts:setup")
    target = safe_next(request)
    if request.user.is_authenticated and request.method != "POST":
        return HttpResponseRedirect(target)
    form = SignInForm(request, data=form_data(request))
    if form.is_bound and form.is_valid():
        user = form.get_user()
        auth.login(request, user)
        audit.record(actor_of(request), "session.begin", user)
        return done(request, _("Signed in."), target) if wants_json(request) else HttpResponseRedirect(target)
    return show_form(request, "accounts/sign_in.html", form, {"next": target})


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session."""
    audit.record(actor_of(request), "session.end", user_of(request))
    auth.logout(request)
    return done(request, _("You are signed out."), resolve_url(settings.LOGOUT_REDIRECT_URL))


@login_not_required
@never_cache
@sensitive_post_parameters("code", "password", "password_again")
@require_http_methods(["GET", "HEAD", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """The first page of a new panel: makes the admin's account for who knows the set-up code."""
    if User.objects.exists():
        return redirect("accounts:sign_in")
    form = SetupForm(form_data(request), initial={"username": "admin"})
    if form.is_bound and form.is_valid():
        data = form.cleaned_data
        try:
            user = services.set_up_panel(
                Actor(None, data["username"], actor_of(request).address),
                **{name: data[name] for name in ("username", "password", "full_name", "email")},
            )
        except services.NotAllowed as error:
            return refused(request, str(error), resolve_url("accounts:sign_in"))
        auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return done(request, _("Welcome. Here is what to do first."), resolve_url("dashboard"))
    return show_form(request, "accounts/setup.html", form)


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Keep the choice of light, dark or the system's colours in a cookie."""
    answer = HttpResponseRedirect(safe_next(request))
    chosen = request.POST.get("theme", "")
    if chosen in THEMES:
        answer.set_cookie("theme", chosen, max_age=365 * 24 * 3600, samesite="Lax", secure=settings.SECURE)
    else:
        answer.delete_cookie("theme")
    return answer


def safe_next(request: HttpRequest) -> str:
    """Where to go afterwards: `next` if it is a page of this panel, or the dashboard."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)
