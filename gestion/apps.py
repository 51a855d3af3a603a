"""Registers this room when Django starts."""

import gc

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class GestionConfig(AppConfig):
    """The room's Django application."""

    name = "gestion"
    verbose_name = _("Gestion")

    def ready(self) -> None:
        """Put the dashboard into the shell, and register the checks of the settings.

        The last room to be ready: from here on there is garbage to collect (see `gestion/__init__.py`), but none
        among what is there now, through which every full collection would look again.
        """
        from gestion import checks  # noqa: F401  # its functions register themselves
        from gestion.health import section
        from pages.registry import register

        register(section)
        gc.freeze()
        gc.enable()
