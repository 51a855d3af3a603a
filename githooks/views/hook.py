"""The hook ⚓: a git host tells of a push. Answers 200 only when a pull was asked for or a ping was proven."""

import logging

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from accounts.actors import Actor, client_address
from githooks import payloads, services
from githooks.models import Repository
from githooks.signatures import Refused, is_signed, sender_of
from hosts.bounds import MIB

log = logging.getLogger(__name__)
MOST_BODY = 25 * MIB  # GitHub's own bound; Caddy has it, too: deploy/caddy/common.caddy


class NotTaken(Exception):  # noqa: N818  # a refusal; its text goes into our log, not to the caller
    """The call changes nothing. `told` goes to the caller."""

    def __init__(self, why: str, status: int, told: str = "") -> None:
        super().__init__(why)
        self.status = status
        self.answer = {"ok": False, **({"errors": {"__all__": [told]}} if told else {})}


@login_not_required
@csrf_exempt  # it is proven by a signature, not by a session
def hook(request: HttpRequest, key: str) -> JsonResponse:
    """Refused calls are logged, and write nothing: anybody can send them."""
    if request.method != "POST":
        return _how_to()
    try:
        return _take(request, key)
    except NotTaken as error:
        log.warning("A call of %s from %s was refused: %s", request.path, client_address(request), error)
        return JsonResponse(error.answer, status=error.status)


def _take(request: HttpRequest, key: str) -> JsonResponse:
    row = Repository.objects.filter(key=key).first() if key in settings.GIT_REPOS else None
    if row is None:
        raise NotTaken("no such repository", 404)
    body = _body_of(request)
    try:
        sender = sender_of(request.headers, body, row.secret)
        told = payloads.read(request.headers, body)
        actor = Actor(None, f"{sender} hook", client_address(request))
        job = services.accept_call(actor, row, body, sender=sender, event=told.event, refs=told.refs)
    except Refused as error:
        raise NotTaken(str(error), 403) from error
    except payloads.Unreadable as error:
        raise NotTaken(str(error), 400) from error
    except services.SeenBefore as error:
        raise NotTaken("this call was sent before", 409) from error
    if job or told.event == "ping":
        return JsonResponse({"ok": True, "job": job.pk if job else None})
    return JsonResponse({"ok": True, "ignored": told.why_not}, status=202)


def _body_of(request: HttpRequest) -> bytes:
    if not is_signed(request.headers):  # whoever it is: it need not be read
        raise NotTaken("it is not signed", 403, _of_ping() if payloads.is_ping(request.headers) else "")
    body: bytes = request.read(MOST_BODY + 1)  # not `body`: the bound of forms is a tenth of this
    if len(body) > MOST_BODY:
        raise NotTaken(f"the body has more than {MOST_BODY} bytes", 413)
    return body


def _of_ping() -> str:
    """Bitbucket Data Center signs what it sends, but not its “Test connection”."""
    return _("This test is not signed, so it proves nothing: push, to see whether the secret is right.")


def _how_to() -> JsonResponse:
    """For who looks at the address in a browser, or still calls it as panels of old were called."""
    words = _(
        "A git host calls this by POST, signed. “Git hooks” in the panel shows the address and the secret to give it."
    )
    said = {"ok": False, "errors": {"__all__": [words]}}
    return JsonResponse(said, status=405, headers={"Allow": "POST"})
