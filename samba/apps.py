"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class SambaConfig(AppConfig):
    """The room's Django application."""

    name = "samba"
    verbose_name = _("Shares")

    def ready(self) -> None:
        """Tell servers and the shell what shares add to them."""
        from pages import registry as pages
        from samba import shell_shares
        from samba.checks import check_samba
        from servers import registry as servers

        checks.register(check_samba)
        servers.register(shell_shares.server_part)
        pages.register(shell_shares.section)
