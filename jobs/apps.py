"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """The room's Django application."""

    name = "jobs"
    verbose_name = _("Jobs")

    def ready(self) -> None:
        """Show jobs in the shell, find every room's works, and put our own upkeep on the schedule."""
        from jobs import schedule, upkeep, works
        from jobs.shell import section
        from jobs.tasks import WorkerCheckFailedError
        from pages.registry import register

        register(section)
        works.expect(WorkerCheckFailedError)
        schedule.every("jobs.delete_old", 3600, upkeep.delete_old)
        autodiscover_modules("tasks")
