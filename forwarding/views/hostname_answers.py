"""Asking what answers for a hostname."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.actors import actor_of
from accounts.permissions import user_of
from forwarding.answering import Answer
from forwarding.answering_hostnames import STEPS, verdict
from forwarding.models import HostnameForward
from forwarding.services.hostname_answers import ask_what_answers
from pages.answers import done


def answers_of(hostname: HostnameForward) -> dict[str, Any]:
    """What answered when somebody last asked, for the hostname's page."""
    answers = [Answer(**answer) for answer in hostname.answers or ()]
    return {
        "answers": [(answer, STEPS[answer.step]) for answer in answers],
        "verdict": verdict(answers) if answers else "",
    }


@require_POST
def ask(request: HttpRequest, pk: int) -> HttpResponse:
    """Try what answers; for everybody who may see the hostname."""
    hostname = get_object_or_404(HostnameForward.objects.visible_to(user_of(request)), pk=pk)
    job = ask_what_answers(actor_of(request), hostname)
    return done(request, _("Trying the way of this name."), hostname.get_absolute_url(), {"job": job.pk})
