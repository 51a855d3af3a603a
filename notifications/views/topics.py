"""What one hears of oneself."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.actors import actor_of
from accounts.mailing import NOT_CONFIGURED, configured
from accounts.permissions import user_of
from notifications import services
from notifications.forms import TopicsForm
from notifications.models import DeliveryState
from pages.answers import done, form_data, refused, show_form
from pages.buttons import button

MOST_SHOWN = 20


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest) -> HttpResponse:
    """The topics one hears of by mail, and the last mails."""
    person = user_of(request)
    chosen = list(person.subscriptions.values_list("topic", flat=True))
    form = TopicsForm(form_data(request), initial={"topics": chosen})
    if form.is_bound and form.is_valid():
        services.choose_topics(actor_of(request), person, form.cleaned_data["topics"])
        return done(request, _("Your choice is saved."), reverse("notifications:topics"))
    last = person.deliveries.select_related("message").order_by("-pk")[:MOST_SHOWN]
    context = {"person": person, "last": last, "sent": DeliveryState.SENT, "can_mail": configured()}
    return show_form(request, "notifications/topics.html", form, context)


@button
def try_mail(request: HttpRequest) -> HttpResponse:
    """Send oneself a mail."""
    person, back = user_of(request), reverse("notifications:topics")
    if not person.email:
        return refused(request, _("Your profile has no e-mail address yet."), reverse("accounts:profile"))
    if not configured():
        return refused(request, str(NOT_CONFIGURED), back)
    services.try_mail(actor_of(request), person)
    return done(request, _("A mail to %s is on its way.") % person.email, back)
