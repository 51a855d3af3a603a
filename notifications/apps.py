"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class NotificationsConfig(AppConfig):
    """The room's Django application."""

    name = "notifications"
    verbose_name = _("Notifications")

    def ready(self) -> None:
        """Hear of jobs in trouble, and show the own choice in everybody's menu."""
        from accounts import registry as people
        from jobs import hooks, schedule
        from notifications import checks, registry, services, tasks  # noqa: F401  # checks register themselves
        from pages.registry import NavItem, Section
        from pages.registry import register as register_section

        registry.register(tasks.JOB_FAILED)
        people.register_watcher(people.PersonPart("notifications", holds=services.person_holds))
        hooks.on_trouble(tasks.job_in_trouble)
        schedule.every("notifications.delete_old", 24 * 3600, tasks.delete_old)
        register_section(
            Section(
                "notifications",
                nav=(NavItem(_("Web hooks"), "notifications:webhooks", "webhook", order=85),),
                user_menu=(NavItem(_("Notifications"), "notifications:topics", "bell", order=30),),
            )
        )
