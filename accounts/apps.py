"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """The room's Django application."""

    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Put people and the audit trail into the shell."""
        from accounts.shell import section
        from pages.registry import register

        register(section)
