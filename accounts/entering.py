"""From the right password to a session: where needed by a code, and in one place for every way in."""

import time

from django.contrib import auth
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts import audit, guard, second_factor, sessions
from accounts.actors import actor_of, client_address
from accounts.models import User

BACKEND = "django.contrib.auth.backends.ModelBackend"
PENDING = "_password_was_right"  # in a session that nobody is signed in to
PENDING_SECONDS = 600
WITH_CODE = "_second_factor"  # in a session that has passed it, or that has set it up


def enter(request: HttpRequest, user: User, *, with_code: bool = False) -> None:
    """Sign in: a new session key, a row in the audit trail."""
    request.session.pop(PENDING, None)
    auth.login(request, user, backend=BACKEND)
    sessions.note_beginning(request, client_address(request))
    if with_code:
        request.session[WITH_CODE] = True
    audit.record(
        actor_of(request), "session.begin", user, after={"second_factor": True} if with_code else None
    )


def wait_for_code(request: HttpRequest, user: User) -> None:
    """Remember that the password was right; nobody is signed in by it."""
    request.session.cycle_key()
    request.session[PENDING] = {
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "until": time.time() + PENDING_SECONDS,
    }


def who_waits(request: HttpRequest) -> User | None:
    """Whose code is waited for: it is the password of now, and typed not long ago."""
    found = request.session.get(PENDING)
    if not found or found["until"] < time.time():
        return None
    user = User.objects.filter(pk=found["user"], is_active=True).first()
    if user is None or not constant_time_compare(found["password"], user.get_session_auth_hash()):
        return None
    return user


def give_up(request: HttpRequest) -> None:
    """Ask for the password again."""
    request.session.pop(PENDING, None)


def check_code(request: HttpRequest, user: User, typed: str) -> bool:
    """Whether the code lets in. Raises TryLater after too many wrong ones; then the password is asked again."""
    try:
        key = guard.before_code(request, user)
    except guard.TryLater:
        give_up(request)
        raise
    if not second_factor.check_code(actor_of(request), user, typed):
        return False
    guard.BY_CODE.forget(key)
    return True
