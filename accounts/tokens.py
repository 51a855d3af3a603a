"""What can be done to API tokens: made, revoked, and ended with what they stood on."""

import datetime
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import audit, mailing
from accounts.actors import Actor
from accounts.models import ApiToken, User
from accounts.token_scopes import READ


@transaction.atomic
def create_token(
    actor: Actor, user: User, *, name: str, days: int | None, scopes: Sequence[str] = (READ,)
) -> tuple[ApiToken, str]:
    """An API token of `user` that ends after `days` (None: never), with its text, which is kept nowhere.

    The person is told by mail.
    """
    text = ApiToken.fresh()
    expires_at = timezone.now() + datetime.timedelta(days=days) if days else None
    token = ApiToken.objects.create(
        user=user,
        name=name,
        digest=ApiToken.digest_of(text),
        expires_at=expires_at,
        scopes=sorted(scopes),
    )
    after = {"user": user.username, "scopes": token.scopes, "expires_at": expires_at}
    audit.record(actor, "token.create", token, after=after)
    mailing.tell(actor, user, "token_made")
    return token, text


@transaction.atomic
def revoke_token(actor: Actor, token: ApiToken) -> None:
    """End a token at once."""
    audit.record(actor, "token.revoke", token, before=_facts(token))
    token.delete()


def end_tokens(actor: Actor, user: User, *, that_write: bool = False) -> int:
    """End a person's tokens, or those that may change something; returns how many.

    They are deleted, so nothing revives them. Call it in the transaction of what they end with.
    """
    ended = [each for each in user.api_tokens.all() if not that_write or set(each.scopes) != {READ}]
    for token in ended:
        audit.record(actor, "token.end", token, before=_facts(token))
        token.delete()
    return len(ended)


def _facts(token: ApiToken) -> dict[str, Any]:
    """With the last places it was used from: they are gone with the token."""
    places = token.uses.exclude(address=None).values_list("address", flat=True)
    return {
        "user": token.user.username,
        "scopes": token.scopes,
        "last_used_at": token.last_used_at,
        "used_from": list(dict.fromkeys(places))[:5],
    }
