"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class KeymanagerConfig(AppConfig):
    """The room's Django application."""

    name = "keymanager"
    verbose_name = _("Keymanager")
