"""System checks of this room's settings."""

import ipaddress
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from notifications import targets


@register(Tags.security)
def check_webhook_networks(**_kwargs: Any) -> list[CheckMessage]:
    """WEBHOOK_NETWORKS: one that cannot be read would silently allow nothing."""
    return errors_in_networks(targets.WEBHOOKS, "notifications.E001")


def errors_in_networks(setting: str, number: str) -> list[CheckMessage]:
    """What of a setting with networks cannot be read."""
    return [
        Error(
            f"{setting} has “{text}”, which is no network.",
            hint="Write networks as 10.0.0.0/24 or fd00:1::/64, separated by commas.",
            id=number,
        )
        for text in getattr(settings, setting)
        if not _is_network(text)
    ]


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text.strip())
    except ValueError:
        return False
    return True
