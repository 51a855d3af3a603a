"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WizardsConfig(AppConfig):
    """The room's Django application."""

    name = "wizards"
    verbose_name = _("Wizards")
