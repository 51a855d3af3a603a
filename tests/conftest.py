"""Fixtures that every room's tests share."""

import pytest
from django.test import Client

from accounts.models import User

pytest_plugins = ["tests.lab_fixtures"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what stands on real hosts and a real browser try twice more; `-rR` tells each time it had to."""
    for item in items:
        if item.get_closest_marker("lab") or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=3))


@pytest.fixture(autouse=True)
def quick_start(settings):
    """Hash passwords quickly, and do not look for a thousand static files with each client."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_USE_FINDERS = False


@pytest.fixture
def admin(db) -> User:
    """An admin of the panel."""
    return User.objects.create_superuser("ada", "correct horse battery", email="ada@example.org")


@pytest.fixture
def member(db) -> User:
    """A person who is no admin and owns nothing."""
    return User.objects.create_user("mel", "correct horse battery", email="mel@example.org")


@pytest.fixture
def admin_client(admin) -> Client:
    """A browser in which the admin is signed in."""
    client = Client()
    client.force_login(admin)
    return client


@pytest.fixture
def member_client(member) -> Client:
    """A browser in which the member is signed in."""
    client = Client()
    client.force_login(member)
    return client
