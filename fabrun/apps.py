"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FabrunConfig(AppConfig):
    """The room's Django application."""

    name = "fabrun"
    verbose_name = _("Scripts")

    def ready(self) -> None:
        """Tell servers, the shell and the schedule what this room adds to them."""
        from fabrun import checks, shell, tasks, upkeep  # noqa: F401  # checks and tasks register themselves
        from jobs import schedule
        from pages import registry as pages
        from servers import registry as servers

        pages.register(shell.section)
        servers.register(shell.server_part)
        schedule.every("fabrun.delete_old", 24 * 3600, upkeep.delete_old)
