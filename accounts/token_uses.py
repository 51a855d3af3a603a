"""What tokens were used for last: enough to see that somebody else has one, and not a row for every request."""

from datetime import timedelta

from django.http import HttpRequest
from django.utils import timezone
from django.utils.encoding import escape_uri_path

from accounts.actors import client_address
from accounts.models import ApiToken, TokenUse, UseKind
from accounts.token_scopes import READING

A_MINUTE = timedelta(minutes=1)
KEPT = 20  # of each kind, so that many quiet reads do not push out the one change that matters


def note_use(token: ApiToken, request: HttpRequest, status: int) -> None:
    """Keep that it was used, by path without the query.

    The same request within a minute is not written again, and no more than 20 a minute that changed nothing.
    """
    method, now = (request.method or "")[:10], timezone.now()
    kind = _kind_of(method, status)
    lately = TokenUse.objects.filter(token=token, kind=kind, at__gt=now - A_MINUTE)
    address, path = client_address(request), escape_uri_path(request.path)[:200]
    seen = list(lately.values_list("address", "method", "path", "status")[:KEPT])
    if (address, method, path, status) in seen or (kind != UseKind.CHANGED and len(seen) >= KEPT):
        return
    TokenUse.objects.create(
        token=token, at=now, kind=kind, address=address, method=method, path=path, status=status
    )
    if kind != UseKind.REFUSED:
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    old = list(TokenUse.objects.filter(token=token, kind=kind).values_list("pk", flat=True)[KEPT:])
    if old:
        TokenUse.objects.filter(pk__in=old).delete()


def _kind_of(method: str, status: int) -> str:
    if status >= 400:
        return UseKind.REFUSED
    return UseKind.READ if method in READING else UseKind.CHANGED
