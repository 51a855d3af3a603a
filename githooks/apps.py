"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GithooksConfig(AppConfig):
    """The room's Django application."""

    name = "githooks"
    verbose_name = _("Git hooks")

    def ready(self) -> None:
        """Put itself into the navigation, and old rows out of the database."""
        from githooks import checks, services  # noqa: F401  # checks register themselves
        from jobs import schedule
        from pages.registry import NavItem, Section, register

        register(
            Section(
                "githooks",
                nav=(NavItem(_("Git hooks"), "githooks:repositories", "git-branch", order=86),),
            )
        )
        schedule.every("githooks.delete_old", 24 * 3600, services.delete_old)
