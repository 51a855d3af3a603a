"""A password by mail: asking for a link, and setting the password with it."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts import mailing, password_links, services
from accounts.actors import actor_of, client_address
from accounts.forms import AskLinkForm, PasswordPairForm
from accounts.lockout import try_later
from accounts.models import User
from accounts.permissions import admin_required
from accounts.tries import Limit, TryLater, network_of
from pages.answers import done, form_data, refused, show_form, wants_json
from pages.buttons import button

BY_ADDRESS = Limit("link", 5, 3600)  # links that one address may ask for


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def forgotten(request: HttpRequest) -> HttpResponse:
    """Ask for a link by mail. The answer is the same whether anybody has that address."""
    form = AskLinkForm(form_data(request))
    context = {"can_mail": mailing.configured()}
    if not (form.is_bound and form.is_valid()):
        return show_form(request, "accounts/forgotten.html", form, context)
    if not mailing.configured():
        return refused(request, _("This panel cannot send mail."), reverse("accounts:forgotten"))
    network = network_of(client_address(request))
    try:
        BY_ADDRESS.check(network, _("Too many links were asked for from your address."))
    except TryLater as error:
        return try_later(request, error)
    BY_ADDRESS.note(network)
    mailing.ask_link(actor_of(request), form.cleaned_data["email"])
    return done(
        request,
        _("If somebody here has this address, a link is on its way. It can be used once, within an hour."),
        reverse("accounts:sign_in"),
    )


@login_not_required
@never_cache
@sensitive_post_parameters()
@sensitive_variables("token")
@require_http_methods(["GET", "HEAD", "POST"])
def new_password(request: HttpRequest, name: str, token: str) -> HttpResponse:
    """Set a password with a link. It signs nobody in: that takes the password, and the code where one is due."""
    user = password_links.person_of(name, token)
    if user is None:
        return _over(request)
    form = PasswordPairForm(form_data(request), user=user)
    if form.is_bound and form.is_valid():
        if services.use_link(client_address(request), name, token, form.cleaned_data["password"]) is None:
            return _over(request)
        return done(request, _("Your password is set. Sign in with it."), reverse("accounts:sign_in"))
    return show_form(request, "accounts/new_password.html", form, {"person": user})


def _over(request: HttpRequest) -> HttpResponse:
    words = _("This link was used, is too old, or was cut short. Ask for another one.")
    if wants_json(request):
        return JsonResponse({"ok": False, "errors": {"__all__": [words]}}, status=404)
    return render(request, "accounts/link_over.html", {"words": words}, status=404)


@admin_required
@button
def send_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Mail a person a link that sets a password."""
    person = get_object_or_404(User, pk=pk)
    try:
        services.send_password_link(actor_of(request), person)
    except services.NotAllowed as error:
        return refused(request, str(error), person.get_absolute_url())
    return done(request, _("A link goes to %s.") % person.email, person.get_absolute_url())
