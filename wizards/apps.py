"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WizardsConfig(AppConfig):
    """The room's Django application."""

    name = "wizards"
    verbose_name = _("Wizards")

    def ready(self) -> None:
        """Tell the shell, jobs and the schedule what this room adds to them."""
        from jobs import hooks, schedule
        from pages import registry as pages
        from wizards import checks, shell, tasks, waking  # noqa: F401  # checks and tasks register themselves
        from wizards.services import runs

        pages.register(shell.section)
        hooks.on_end(waking.note_end)
        schedule.every("wizards.look", 30, waking.look)
        schedule.every("wizards.delete_old", 24 * 3600, runs.delete_old)
