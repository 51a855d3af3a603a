"""Fixtures of wizards."""

from pathlib import Path

import pytest

from accounts.actors import Actor

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(autouse=True)
def sample_folder(settings) -> Path:
    """The wizards of the tests, beside the panel's own."""
    settings.WIZARDS_FOLDER = str(SAMPLES)
    return SAMPLES


@pytest.fixture
def actor(admin) -> Actor:
    """The admin, acting."""
    return Actor(admin, admin.username, "192.0.2.7")
