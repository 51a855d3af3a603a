"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BackupsConfig(AppConfig):
    """The room's Django application."""

    name = "backups"
    verbose_name = _("Backups")

    def ready(self) -> None:
        """Tell servers, the shell, the notifications and the schedule what each noun of this room adds to them."""
        from backups import (
            shell_plans,
            shell_restores,
            shell_runs,
            telling,
            telling_restores,
            watching_stale,
            works_restores,
            works_runs,
        )
        from backups.services import restores, runs
        from jobs import hooks
        from notifications import registry as notifications
        from pages import registry as pages
        from servers import registry as servers

        servers.register(shell_plans.server_part)
        pages.register(shell_plans.section)
        pages.register(shell_runs.section)
        pages.register(shell_restores.section)
        notifications.register(*telling.TOPICS, *telling_restores.TOPICS)
        hooks.on_end(runs.job_ended)
        hooks.on_end(restores.job_ended)
        works_runs.register()
        works_restores.register()
        watching_stale.register()
