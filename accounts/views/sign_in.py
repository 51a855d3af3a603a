"""Signing in and out, the panel's first page, and the choice of colours."""

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import redirect, resolve_url
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts import audit, entering, guard, second_factor, services
from accounts.actors import Actor, actor_of
from accounts.forms import CodeForm, SetupForm, SignInForm
from accounts.lockout import try_later
from accounts.models import User
from accounts.permissions import user_of, without_second_factor
from accounts.tries import TryLater
from pages.answers import done, form_data, refused, show_form, wants_json
from pages.buttons import button
from pages.context import THEMES
from pages.limits import CANNOT_BE_KEPT
from pages.targets import page_at

NOT_NEXT = ("accounts:sign_out", "accounts:theme")


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """User name and password, then the code of who has a second factor; guessing is slowed down."""
    if not User.objects.exists():
        return redirect("accounts:setup")
    target = safe_next(request)
    form = SignInForm(request, data=form_data(request))
    try:
        user = _password_user(request, form)
    except TryLater as error:
        return try_later(request, error)
    if user is None and request.user.is_authenticated and not form.is_bound:
        return HttpResponseRedirect(target)
    if user is None:
        return show_form(request, "accounts/sign_in.html", form, {"next": target})
    return _ask_code(request, user, target) if second_factor.is_on(user) else _entered(request, user, target)


def _ask_code(request: HttpRequest, user: User, target: str) -> HttpResponse:
    entering.wait_for_code(request, user)
    url = f"{resolve_url('accounts:sign_in_code')}?{urlencode({'next': target})}"
    if wants_json(request):
        return JsonResponse({"ok": True, "message": _("Now the code."), "url": url, "code_needed": True})
    return HttpResponseRedirect(url)


def _password_user(request: HttpRequest, form: SignInForm) -> User | None:
    """Whose password this is, or None. Raises TryLater."""
    typed = form.data if form.is_bound else {}
    if not (typed.get("username") and typed.get("password")):
        form.is_valid()
        return None
    attempt = guard.before_password(request, CANNOT_BE_KEPT.sub("", str(typed["username"])))
    if not form.is_valid():
        return None
    attempt.was_right()
    user = form.get_user()
    return user if isinstance(user, User) else None


def _entered(request: HttpRequest, user: User, target: str, *, with_code: bool = False) -> HttpResponse:
    entering.enter(request, user, with_code=with_code)
    answer = done(request, _("Signed in."), target) if wants_json(request) else HttpResponseRedirect(target)
    guard.know_device(request, answer, user)
    return answer


@login_not_required
@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_code(request: HttpRequest) -> HttpResponse:
    """The second step: a code of the authenticator, or a recovery code."""
    user = entering.who_waits(request)
    if user is None:
        return redirect("accounts:sign_in")
    target = safe_next(request)
    form = CodeForm(form_data(request))
    if form.is_bound and form.is_valid():
        try:
            right = entering.check_code(request, user, form.cleaned_data["code"])
        except TryLater as error:
            return try_later(request, error)
        if right:
            return _entered(request, user, target, with_code=True)
        form.add_error("code", _("This code does not fit, or was used already. Wait for the next one."))
    return show_form(request, "accounts/sign_in_code.html", form, {"next": target})


@without_second_factor
@button
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
        entering.enter(request, user)
        answer = done(request, _("Welcome. Here is what to do first."), resolve_url("dashboard"))
        guard.know_device(request, answer, user)
        return answer
    return show_form(request, "accounts/setup.html", form, {"embedded": settings.EMBEDDED})


@without_second_factor
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
    """Where to go afterwards: `next` if it is a page of this panel that one sees signed in, or the dashboard."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    page = page_at(wanted)
    # Not signing out, and not signing in once more.
    if page and page.view_name not in NOT_NEXT and getattr(page.func, "login_required", True):
        return wanted
    return resolve_url(settings.LOGIN_REDIRECT_URL)
