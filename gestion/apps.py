"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GestionConfig(AppConfig):
    """The room's Django application."""

    name = "gestion"
    verbose_name = _("Gestion")
