"""Where sessions are kept (SESSION_ENGINE), and how they are shown and ended.

A session that was ended cannot come back: its row is gone, and saving it fails.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.http import HttpRequest
from django.utils import timezone

from accounts.models.sessions import Session
from accounts.models.users import User

SEEN_EVERY = timedelta(minutes=5)  # no row is written on every request
PLACE = "_place"  # in a session's data: when and from where it began


class SessionStore(DatabaseStore):
    """Django's, on our own rows."""

    seen_at: datetime | None = None  # as the row said when it was read

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """The rows."""
        return Session

    def _get_session_from_db(self) -> Any:
        row = super()._get_session_from_db()  # type: ignore[misc]  # Django's own, not in its stubs
        self.seen_at = row.seen_at if row else None
        return row

    async def _aget_session_from_db(self) -> Any:
        row = await super()._aget_session_from_db()  # type: ignore[misc]  # Django's own, not in its stubs
        self.seen_at = row.seen_at if row else None
        return row

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        """A row of this session, with whose it is."""
        row = super().create_model_instance(data)
        return _filled(row, data)

    async def acreate_model_instance(self, data: dict[str, Any]) -> Session:
        """The same for asynchronous views."""
        row = await super().acreate_model_instance(data)
        return _filled(row, data)


def _filled(row: Any, data: dict[str, Any]) -> Session:
    row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
    place = data.get(PLACE)
    if place:
        row.began_at = datetime.fromisoformat(place["began_at"])
        row.address, row.agent = place["address"], place["agent"]
    return row


def note_beginning(request: HttpRequest, address: str | None) -> None:
    """Keep from where this session began; for right after a sign-in."""
    request.session[PLACE] = {
        "began_at": timezone.now().isoformat(),
        "address": address,
        "agent": request.headers.get("User-Agent", "")[:255],
    }


def note_seen(store: Any) -> None:
    """Keep that this session is in use; writes at most each five minutes, and asks nothing before."""
    now = timezone.now()
    seen_at = getattr(store, "seen_at", None)
    if seen_at is not None and seen_at < now - SEEN_EVERY:
        Session.objects.filter(session_key=store.session_key).update(seen_at=now)


def sessions_of(user: User) -> list[Session]:
    """Those that have not expired, the one in use last first."""
    return list(user.sessions.filter(expire_date__gt=timezone.now()).order_by("-seen_at"))


def end_all(user: User, *, but: str | None = None) -> int:
    """End all sessions of a person, except the one with the key `but`; returns how many."""
    rows = Session.objects.filter(user=user)
    return rows.exclude(session_key=but).delete()[0] if but else rows.delete()[0]


def number_of(session_key: str) -> str:
    """A name for a session that does not give it away."""
    return hashlib.sha256(f"session {session_key}".encode()).hexdigest()[:16]


def delete_expired() -> None:
    """Delete sessions that have ended by themselves."""
    SessionStore.clear_expired()
