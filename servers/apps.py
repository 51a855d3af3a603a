"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ServersConfig(AppConfig):
    """The room's Django application."""

    name = "servers"
    verbose_name = _("Servers")
