"""System checks of this room's settings."""

from typing import Any

from django.core import checks

from keymanager.key_urls import NETWORKS
from notifications.checks import errors_in_networks


def register() -> None:
    """Have `manage.py check` look at them."""
    checks.register(check_key_url_networks, checks.Tags.security)


def check_key_url_networks(**_kwargs: Any) -> list[checks.CheckMessage]:
    """KEY_URL_NETWORKS: one that cannot be read would silently allow nothing."""
    return errors_in_networks(NETWORKS, "keymanager.E001")
