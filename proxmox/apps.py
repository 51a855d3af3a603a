"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProxmoxConfig(AppConfig):
    """The room's Django application."""

    name = "proxmox"
    verbose_name = _("Proxmox")

    def ready(self) -> None:
        """Tell servers, the shell and the schedule what each noun of this room adds to them."""
        from jobs import hooks
        from pages import registry as pages
        from proxmox import checks, looks, shell_access, shell_create, shell_guests, works_create  # noqa: F401 - checks register themselves
        from servers import registry as servers

        servers.register(shell_guests.server_part)
        servers.register(shell_create.server_part)
        pages.register(shell_guests.section)
        pages.register(shell_access.section)
        pages.register(shell_create.section)
        looks.register()
        hooks.on_end(works_create.job_ended)
        works_create.register()
