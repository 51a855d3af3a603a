"""Somebody leaves: every way in is taken away at once, and rooms say where it is gone."""

from django.db import transaction

from accounts import audit, password_links, registry, sessions
from accounts.actors import Actor
from accounts.models import User
from accounts.services import locked, refuse_own_or_last
from accounts.tokens import end_tokens


@transaction.atomic
def take_access(actor: Actor, user: User) -> User:
    """Switch a person off; sessions, API tokens and the password end, and keys count nowhere any more.

    May be done again. Raises NotAllowed for oneself and the last admin, SecondWordNeeded from the rooms.
    """
    user = locked(user)
    refuse_own_or_last(actor, user)
    facts = registry.PersonFacts.of(user)
    afterwards = registry.tell_leaving(actor, user)
    before = {
        "is_active": user.is_active,
        "sessions": sessions.end_all(user),
        "api_tokens": end_tokens(actor, user),
    }
    user.is_active = False
    user.set_unusable_password()  # so that switching the account on again lets nobody in by itself
    user.save(update_fields=["is_active", "password"])
    password_links.end_links(user)
    audit.record(
        actor,
        "user.offboard",
        user,
        before=before,
        after={"is_active": False, "sessions": 0, "api_tokens": 0},
    )
    registry.tell_changed(user, facts)
    for then in afterwards:
        then()
    return user
