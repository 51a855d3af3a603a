"""Values of rows and forms as JSON."""

import datetime
from typing import Any

from django.db.models import Model, QuerySet


def jsonable(value: Any) -> Any:
    """The value with models as their primary keys, times as ISO 8601, anything else unknown as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Model):
        return value.pk
    if isinstance(value, list | tuple | set | frozenset | QuerySet):
        return [jsonable(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.datetime | datetime.date) else str(value)
