"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class SambaConfig(AppConfig):
    """The room's Django application."""

    name = "samba"
    verbose_name = _("Shares")
