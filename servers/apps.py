"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ServersConfig(AppConfig):
    """The room's Django application."""

    name = "servers"
    verbose_name = _("Servers")

    def ready(self) -> None:
        """Put servers into the shell, and their upkeep on the schedule."""
        from accounts import registry as accounts
        from jobs import guarding, hooks
        from pages.registry import register
        from servers import people, rolling, upkeep
        from servers.models import Server
        from servers.shell import section

        register(section)
        accounts.register_watcher(
            accounts.PersonPart("servers", changed=people.person_changed, holds=people.person_holds)
        )
        upkeep.register()
        guarding.guard(lambda user: Server.objects.visible_to(user).order_by().values("pk"))
        hooks.on_end(rolling.job_ended)
