"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PagesConfig(AppConfig):
    """The room's Django application."""

    name = "pages"
    verbose_name = _("Pages")
