"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ForwardingConfig(AppConfig):
    """The room's Django application."""

    name = "forwarding"
    verbose_name = _("Forwarding")

    def ready(self) -> None:
        """Tell servers and the shell what each noun of this room adds to them."""
