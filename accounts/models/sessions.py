"""Sessions: Django's, with whose they are and where they come from, so that they can be shown and ended."""

from typing import TYPE_CHECKING

from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone

from accounts.models.users import User

if TYPE_CHECKING:
    from accounts.sessions import SessionStore


class Session(AbstractBaseSession):
    """One browser. `user` is empty until somebody has signed in."""

    user = models.ForeignKey(User, null=True, on_delete=models.CASCADE, related_name="sessions")
    began_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now)
    address = models.GenericIPAddressField(null=True)
    agent = models.CharField(max_length=255, blank=True)  # as the browser calls itself

    class Meta(AbstractBaseSession.Meta):
        abstract = False

    @classmethod
    def get_session_store_class(cls) -> "type[SessionStore]":
        """Where the data of sessions is read and written."""
        from accounts.sessions import SessionStore

        return SessionStore

    @property
    def number(self) -> str:
        """A name for this session in URLs and in the audit trail; who knows it cannot use the session."""
        from accounts.sessions import number_of

        return number_of(self.session_key)

    @property
    def device(self) -> str:
        """Browser and system, as people call them."""
        from accounts.devices import device_words

        return device_words(self.agent)
