"""The hook ⚓: a git host tells of a push. Answers 200 only when a pull was asked for or a ping was proven."""

import json
import logging
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.actors import Actor, client_address
from githooks import services
from githooks.models import Repository
from githooks.signatures import Refused, sender_of

log = logging.getLogger(__name__)
PINGS = {"ping", "Ping Hook"}
PUSHES = {"push", "Push Hook"}


@login_not_required
@csrf_exempt  # it is proven by a signature, not by a session
@require_POST
def hook(request: HttpRequest, key: str) -> JsonResponse:
    """Refused calls are logged, and write nothing: anybody can send them."""
    row = Repository.objects.filter(key=key).first() if key in settings.GIT_REPOS else None
    if row is None:
        return _refused(request, "no such repository", 404)
    body = request.body
    try:
        sender = sender_of(request.headers, body, row.secret)
        payload = json.loads(body)
    except Refused as error:
        return _refused(request, str(error), 403)
    except (ValueError, RecursionError):
        return _refused(request, "the body is not JSON", 400)
    if not isinstance(payload, dict):
        return _refused(request, "the body is no JSON object", 400)
    return _take(request, row, payload, sender)


def _take(request: HttpRequest, row: Repository, payload: dict[str, Any], sender: str) -> JsonResponse:
    event, ref = _event(request), payload.get("ref")
    ref = ref if isinstance(ref, str) and ref.isprintable() else ""
    actor = Actor(None, f"{sender} hook", client_address(request))
    try:
        job = services.accept_call(actor, row, request.body, sender=sender, event=event, ref=ref)
    except services.SeenBefore:
        return _refused(request, "this call was sent before", 409)
    if job or event == "ping":
        return JsonResponse({"ok": True, "job": job.pk if job else None})
    return JsonResponse({"ok": True, "ignored": "only pushes to the expected branch count"}, status=202)


def _event(request: HttpRequest) -> str:
    for name in ("X-GitHub-Event", "X-Forgejo-Event", "X-Gitea-Event", "X-Gitlab-Event", "X-Gestion-Event"):
        given = request.headers.get(name)
        if given:
            return "push" if given in PUSHES else "ping" if given in PINGS else "other"
    return "push"


def _refused(request: HttpRequest, why: str, status: int) -> JsonResponse:
    log.warning("A call of %s from %s was refused: %s", request.path, client_address(request), why)
    return JsonResponse({"ok": False}, status=status)
