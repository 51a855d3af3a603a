"""System checks of this room's settings: each message says what to set."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError
from django.core.validators import validate_email


def check_acme(**_kwargs: Any) -> list[CheckMessage]:
    """Where certificates are ordered, and in whose name."""
    return list(_acme_messages())


def _acme_messages() -> Iterator[CheckMessage]:
    directory = urlsplit(settings.ACME_DIRECTORY)
    if directory.scheme != "https" or not directory.hostname:
        yield Error(
            f"ACME_DIRECTORY is not the https URL of an ACME directory: {settings.ACME_DIRECTORY}",
            hint="Set ACME_DIRECTORY to the directory's whole URL, or leave it out for Let's Encrypt.",
            id="forwarding.E001",
        )
    if settings.ACME_CA_FILE and not Path(settings.ACME_CA_FILE).is_file():
        yield Error(
            f"ACME_CA_FILE is no file: {settings.ACME_CA_FILE}",
            hint="Set ACME_CA_FILE to the PEM file of the root that the directory's own HTTPS is signed by.",
            id="forwarding.E002",
        )
    if settings.ACME_EMAIL:
        try:
            validate_email(settings.ACME_EMAIL)
        except ValidationError:
            yield Error(
                f"ACME_EMAIL is no e-mail address: {settings.ACME_EMAIL}",
                hint="Set ACME_EMAIL to one address, or leave it out.",
                id="forwarding.E003",
            )
