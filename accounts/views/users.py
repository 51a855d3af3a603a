"""Admins' pages about people."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts import mailing, registry, second_factor, services
from accounts.actors import actor_of
from accounts.forms import NewUserForm, PasswordPairForm, UserForm
from accounts.models import SecondFactor, User
from accounts.permissions import admin_required, user_of
from accounts.sessions import sessions_of
from accounts.token_scopes import only_read_by_token
from accounts.views.second_factor import state_of
from accounts.views.tokens import with_words
from pages.answers import done, form_data, refused, show_form, show_page
from pages.buttons import takes_no_fields
from pages.lists import Filter, ListPage, render_list
from pages.registry import Held


def _by_role(rows: QuerySet[User], role: str) -> QuerySet[User]:
    return rows.filter(is_admin=role == "admin")


def _by_state(rows: QuerySet[User], state: str) -> QuerySet[User]:
    return rows.filter(is_active=state == "active")


def _by_factor(rows: QuerySet[Any], factor: str) -> QuerySet[User]:
    return rows.filter(has_second_factor=factor == "on")


def _with_factor(rows: QuerySet[User]) -> QuerySet[Any]:
    """Each with `has_second_factor`."""
    confirmed = SecondFactor.objects.filter(user=OuterRef("pk"), confirmed_at__isnull=False)
    return rows.annotate(has_second_factor=Exists(confirmed))


FILTERS = (
    Filter(
        "role",
        gettext_lazy("Role"),
        [("admin", gettext_lazy("admins")), ("member", gettext_lazy("members"))],
        _by_role,
    ),
    Filter(
        "state",
        gettext_lazy("State"),
        [("active", gettext_lazy("active")), ("off", gettext_lazy("switched off"))],
        _by_state,
    ),
    Filter(
        "factor",
        gettext_lazy("Two-factor"),
        [("on", gettext_lazy("on")), ("off", gettext_lazy("off"))],
        _by_factor,
    ),
)


@only_read_by_token
@admin_required
@require_http_methods(["GET", "HEAD"])
def users(request: HttpRequest) -> HttpResponse:
    """Everybody with an account."""
    listing = ListPage(
        request,
        _with_factor(User.objects.all()),
        search=("username", "full_name", "email"),
        sorts={
            "name": ("full_name", "username"),
            "username": "username",
            "role": ("-is_admin", "username"),
            "seen": "last_login",
            "since": "date_joined",
        },
        default_sort="username",
        filters=FILTERS,
    )
    return render_list(request, "accounts/users.html", listing, row_json=_row_json)


def _row_json(person: Any) -> dict[str, Any]:
    return {**user_json(person), "two_factor": person.has_second_factor}


@only_read_by_token
@admin_required
@require_http_methods(["GET", "HEAD"])
def user(request: HttpRequest, pk: int) -> HttpResponse:
    """One person: facts, what the rooms know of her, tokens, history."""
    person = get_object_or_404(User, pk=pk)
    context = {
        "person": person,
        "panels": registry.panels_of(request, person),
        "tokens": with_words(list(person.api_tokens.all())),
        "sessions": [(row, row.session_key == request.session.session_key) for row in sessions_of(person)],
        "can_mail": mailing.configured(),
        **state_of(person),
    }
    return show_page(request, "accounts/user.html", context, user_json(person))


@admin_required
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def new_user(request: HttpRequest) -> HttpResponse:
    """A new person."""
    form = NewUserForm(form_data(request))
    if form.is_bound and form.is_valid():
        person = services.create_user(actor_of(request), **form.cleaned_data)
        return done(request, _("%s has an account.") % person, person.get_absolute_url(), {"id": person.pk})
    return show_form(request, "accounts/new_user.html", form)


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Change a person's account."""
    person = get_object_or_404(User, pk=pk)
    own = person.pk == user_of(request).pk
    form = UserForm(form_data(request), instance=get_object_or_404(User, pk=pk), own=own)
    form.say_what_counts(registry.what_counts(person, user_of(request)))
    if form.is_bound and form.is_valid():
        try:
            services.change_user(actor_of(request), person, **form.cleaned_data)
        except services.NotAllowed as error:
            form.add_error(None, str(error))
        else:
            return done(request, _("Saved."), person.get_absolute_url())
    return show_form(request, "accounts/edit_user.html", form, {"person": person})


@admin_required
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def set_password(request: HttpRequest, pk: int) -> HttpResponse:
    """Give somebody else a new password; ends that person's sessions. One's own wants the current one."""
    person = get_object_or_404(User, pk=pk)
    if person.pk == user_of(request).pk:
        words = _("Your own password is changed in your profile, which asks for the current one.")
        return refused(request, words, reverse("accounts:password"))
    form = PasswordPairForm(form_data(request), user=person)
    if form.is_bound and form.is_valid():
        services.set_password(actor_of(request), person, form.cleaned_data["password"])
        message = _("%s has a new password and is signed out everywhere.") % person
        return done(request, message, person.get_absolute_url())
    context = {"person": person, "can_mail": mailing.configured()}
    return show_form(request, "accounts/set_password.html", form, context)


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@takes_no_fields
def delete_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what goes with a person, and delete."""
    person = get_object_or_404(User, pk=pk)
    if request.method == "POST":
        try:
            services.delete_user(actor_of(request), person)
        except services.NotAllowed as error:
            return refused(request, str(error), person.get_absolute_url())
        return done(request, _("%s is deleted.") % person, reverse("accounts:users"))
    holds = what_goes_with(person)
    data: dict[str, Any] = {"holds": [str(held.text) for held in holds]}
    return show_page(request, "accounts/delete_user.html", {"person": person, "holds": holds}, data)


def what_goes_with(person: User) -> list[Held]:
    """API tokens, sessions, the second factor, and what the rooms say."""
    holds = registry.held_by(person)
    count = person.api_tokens.count()
    if count:
        holds.append(Held(ngettext("%d API token", "%d API tokens", count) % count))
    count = len(sessions_of(person))
    if count:
        holds.append(Held(ngettext("%d session", "%d sessions", count) % count))
    if second_factor.is_on(person):
        holds.append(Held(_("The second factor, and its recovery codes")))
    return holds


def user_json(person: User) -> dict[str, Any]:
    """A person as JSON."""
    return {
        "id": person.pk,
        "username": person.username,
        "full_name": person.full_name,
        "email": person.email,
        "is_admin": person.is_admin,
        "is_active": person.is_active,
        "time_zone": person.time_zone,
        "last_login": person.last_login,
        "date_joined": person.date_joined,
    }
