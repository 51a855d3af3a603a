"""Two-factor sign-in: set it up, new recovery codes, turn it off; an admin's reset of somebody else's."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import second_factor
from accounts.actors import actor_of
from accounts.entering import WITH_CODE
from accounts.forms import CodeForm, CurrentPasswordForm
from accounts.models import SecondFactor, User
from accounts.permissions import admin_required, for_people_only, user_of, without_second_factor
from accounts.services import NotAllowed
from pages.answers import done, form_data, refused, show_form, show_page, wants_json
from pages.buttons import takes_no_fields


@without_second_factor
@never_cache
@sensitive_post_parameters("current")
@require_http_methods(["GET", "HEAD", "POST"])
def two_factor(request: HttpRequest) -> HttpResponse:
    """How it stands; with the password, begin to set it up, or to move it to another device."""
    user = user_of(request)
    form = CurrentPasswordForm(form_data(request), request=request, user=user)
    if form.is_bound:
        for_people_only(request)
        if form.is_valid():
            factor = second_factor.begin(user)
            url = reverse("accounts:two_factor_confirm")
            if wants_json(request):
                return JsonResponse(
                    {
                        "ok": True,
                        "url": url,
                        "secret": factor.next_secret,
                        "otpauth": second_factor.address_of(factor),
                    }
                )
            return redirect(url)
    state = state_of(user)
    if wants_json(request) and not form.is_bound:
        return show_page(request, "", {}, state)
    return show_form(request, "accounts/two_factor.html", form, state)


def state_of(user: User) -> dict[str, Any]:
    """How a person's second factor stands."""
    return {
        "is_on": second_factor.is_on(user),
        "is_required": second_factor.is_required(user),
        "codes_left": second_factor.codes_left(user),
    }


@without_second_factor
@never_cache
@sensitive_post_parameters("code")
@sensitive_variables("codes")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest) -> HttpResponse:
    """The QR code, and the first code of the authenticator; then the recovery codes, once."""
    user = user_of(request)
    for_people_only(request)
    factor = SecondFactor.objects.filter(user=user).first()
    if factor is None or not factor.next_secret:
        return redirect("accounts:two_factor")
    form = CodeForm(form_data(request))
    if form.is_bound and form.is_valid():
        try:
            codes = second_factor.confirm(
                actor_of(request), user, form.cleaned_data["code"], keep_session=request.session.session_key
            )
        except NotAllowed as error:
            form.add_error("code", str(error))
        else:
            request.session[WITH_CODE] = True
            return _show_codes(request, codes)
    context = {
        "qr_code": second_factor.qr_code(factor),
        "secret": " ".join(factor.next_secret[at : at + 4] for at in range(0, len(factor.next_secret), 4)),
    }
    return show_form(request, "accounts/two_factor_confirm.html", form, context)


@never_cache
@sensitive_post_parameters("current")
@sensitive_variables("codes")
@require_http_methods(["GET", "HEAD", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """New recovery codes, shown once; asks for the password."""
    user = user_of(request)
    for_people_only(request)
    if not second_factor.is_on(user):
        return redirect("accounts:two_factor")
    form = CurrentPasswordForm(form_data(request), request=request, user=user)
    if form.is_bound and form.is_valid():
        return _show_codes(request, second_factor.renew_codes(actor_of(request), user))
    return show_form(request, "accounts/recovery_codes.html", form)


@sensitive_post_parameters("current")
@require_http_methods(["GET", "HEAD", "POST"])
def turn_off(request: HttpRequest) -> HttpResponse:
    """Turn it off; asks for the password."""
    user = user_of(request)
    for_people_only(request)
    form = CurrentPasswordForm(form_data(request), request=request, user=user)
    if form.is_bound and form.is_valid():
        try:
            second_factor.turn_off(actor_of(request), user, keep_session=request.session.session_key)
        except NotAllowed as error:
            return refused(request, str(error), reverse("accounts:two_factor"))
        request.session.pop(WITH_CODE, None)
        return done(request, _("Two-factor sign-in is off."), reverse("accounts:two_factor"))
    return show_form(request, "accounts/two_factor_off.html", form, state_of(user))


@admin_required
@require_http_methods(["GET", "HEAD", "POST"])
@takes_no_fields
def reset(request: HttpRequest, pk: int) -> HttpResponse:
    """Take away a person's lost second factor, and her sessions with it."""
    person = get_object_or_404(User, pk=pk)
    if request.method == "POST":
        try:
            second_factor.reset(actor_of(request), person)
        except NotAllowed as error:
            return refused(request, str(error), person.get_absolute_url())
        message = _("%s signs in with the password alone, and is signed out everywhere.") % person
        return done(request, message, person.get_absolute_url())
    return show_page(request, "accounts/two_factor_reset.html", {"person": person}, state_of(person))


def _show_codes(request: HttpRequest, codes: list[str]) -> HttpResponse:
    if wants_json(request):
        return JsonResponse({"ok": True, "recovery_codes": codes})
    return render(request, "accounts/codes_made.html", {"codes": codes, "text": "\n".join(codes)})
