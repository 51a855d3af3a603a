"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KeymanagerConfig(AppConfig):
    """The room's Django application."""

    name = "keymanager"
    verbose_name = _("Keys and groups")

    def ready(self) -> None:
        """Tell people, servers and the shell what this room adds to them."""
        from accounts import registry as people
        from jobs import schedule
        from keymanager import (
            checks,
            departure_page,
            departures,
            found_lines,
            registration_fetch,
            shell,
            watching,
        )
        from keymanager.services import from_url, passwords
        from notifications import registry as notifications
        from pages import registry as pages
        from servers import registry as servers

        people.register_watcher(
            people.PersonPart(
                "keymanager",
                changed=watching.person_changed,
                removing=watching.person_going,
                holds=watching.person_holds,
                counts=watching.person_counts,
                panel=shell.person_panel,
                leaving=departures.leaving,
                left=departure_page.left,
            )
        )
        servers.register(
            servers.ServerPart(
                "keymanager",
                panel=shell.server_panel,
                holds=watching.server_holds,
                unix_user_holds=watching.unix_user_holds,
                unix_user_going=watching.unix_user_going,
                changed=watching.server_changed,
            )
        )
        registration_fetch.register()
        servers.register(servers.ServerPart("keymanager-passwords", kinds=(passwords.kind,)))
        notifications.register(found_lines.TOPIC)
        checks.register()
        schedule.every("keymanager.departures", 15, departures.open_hosts)
        schedule.every("keymanager.from_url", 600, from_url.delete_old)
        pages.register(shell.section)
