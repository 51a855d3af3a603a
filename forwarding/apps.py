"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class ForwardingConfig(AppConfig):
    """The room's Django application."""

    name = "forwarding"
    verbose_name = _("Forwarding")

    def ready(self) -> None:
        """Tell servers, the shell and the schedule what each noun of this room adds to them."""
        from forwarding import (
            shell_certificates,
            shell_hostnames,
            shell_ports,
            works_certificates,
            works_nginx,
            works_ports,
        )
        from forwarding.checks import check_acme
        from pages import registry as pages
        from servers import registry as servers

        checks.register(check_acme)
        for shell in (shell_ports, shell_hostnames, shell_certificates):
            servers.register(shell.server_part)
            pages.register(shell.section)
        works_ports.register()
        works_nginx.register()
        works_certificates.register()
