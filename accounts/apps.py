"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """The room's Django application."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Put people and the audit trail into the shell, and upkeep on the schedule."""
        from accounts import sessions, tries
        from accounts.shell import section
        from jobs import schedule
        from pages.registry import register

        register(section)
        schedule.every("accounts.delete_old_tries", 3600, tries.delete_old)
        schedule.every("accounts.delete_expired_sessions", 24 * 3600, sessions.delete_expired)
