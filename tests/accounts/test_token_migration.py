"""Tokens that were made before there were scopes."""

import datetime

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from tests.databases import empty_database

BEFORE = [("accounts", "0002_sign_in")]
AFTER = [("accounts", "0003_token_scopes_and_links")]


@pytest.fixture
def migrations(settings, tmp_path, django_db_blocker):
    """A database of its own, in which migrations are applied: the tests' usual one is made without."""
    settings.MIGRATION_MODULES = {}
    with django_db_blocker.unblock(), empty_database(tmp_path):
        yield


def test_old_tokens_go_on_for_90_days_at_most(migrations):
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    old = executor.loader.project_state(BEFORE).apps
    soon = timezone.now() + datetime.timedelta(days=5)
    ada = old.get_model("accounts", "User").objects.create(username="ada", password="!")
    for name, day in {"ever": None, "year": soon + datetime.timedelta(days=360), "soon": soon}.items():
        old.get_model("accounts", "ApiToken").objects.create(user=ada, name=name, digest=name, expires_at=day)
    executor = MigrationExecutor(connection)
    executor.migrate(AFTER)
    tokens = executor.loader.project_state(AFTER).apps.get_model("accounts", "ApiToken").objects
    ends = dict(tokens.values_list("name", "expires_at"))
    limit = timezone.now() + datetime.timedelta(days=90)
    assert ends["soon"] == soon
    assert abs(ends["ever"] - limit) < datetime.timedelta(minutes=5)
    assert abs(ends["year"] - limit) < datetime.timedelta(minutes=5)
    assert all(token.scopes == ["everything"] for token in tokens.all())
