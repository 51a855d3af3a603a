"""Registers this room when Django starts."""

from django.apps import AppConfig
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
        from pages import registry as pages
        from servers import registry as servers

        servers.register(shell_ports.server_part)
        servers.register(shell_hostnames.server_part)
        servers.register(shell_certificates.server_part)
        pages.register(shell_ports.section)
        pages.register(shell_certificates.section)
        works_ports.register()
        works_nginx.register()
        works_certificates.register()
