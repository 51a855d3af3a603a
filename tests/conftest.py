"""Fixtures that every room's tests share."""

from tests.lab_fixtures import fleet, lab_key

__all__ = ["fleet", "lab_key"]
