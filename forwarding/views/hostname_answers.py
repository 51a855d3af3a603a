"""Asking what answers for a hostname."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _

from accounts.actors import actor_of
from accounts.permissions import user_of
from forwarding.answering import Answer
from forwarding.answering_hostnames import STEPS, verdict
from forwarding.models import HostnameDestination, HostnameForward
from forwarding.services.hostname_answers import ask_what_answers
from pages.answers import done
from pages.buttons import button
from servers.models import Server


def answers_of(hostname: HostnameForward) -> dict[str, Any]:
    """What answered when somebody last asked, for the hostname's page."""
    answers = [Answer(**answer) for answer in hostname.answers or ()]
    return {
        "answers": [(answer, STEPS[answer.step]) for answer in answers],
        "verdict": verdict(answers) if answers else "",
    }


def all_destinations(request: HttpRequest) -> QuerySet[HostnameForward]:
    """The hostnames that lead only to servers which the user may operate: the trial looks inside each of them."""
    user = user_of(request)
    own = Server.objects.visible_to(user).values("pk")
    others = HostnameDestination.objects.exclude(server__in=own).values("hostname")
    return HostnameForward.objects.visible_to(user).exclude(pk__in=others)


@button
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Try what answers; for everybody who may operate all that the hostname leads to."""
    hostname = get_object_or_404(all_destinations(request), pk=pk)
    job = ask_what_answers(actor_of(request), hostname)
    return done(request, _("Trying the way of this name."), hostname.get_absolute_url(), {"job": job.pk})
