"""Registers this room when Django starts."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """The room's Django application."""

    name = "jobs"
    verbose_name = _("Jobs")
