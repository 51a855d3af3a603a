"""Every list, for programs: what it does not know is refused; all rows would not be what was asked for."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from django.urls import get_resolver

pytestmark = pytest.mark.django_db
JSON = {"accept": "application/json"}
FEWEST = 12  # lists that there are at least


def paths(patterns: Iterable[Any], before: str = "/") -> Iterator[str]:
    """Every address without a value in it."""
    for pattern in patterns:
        here = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from paths(pattern.url_patterns, here)
        elif "<" not in here and "^" not in here and here.endswith("/"):
            yield here


def test_every_list_refuses_a_filter_that_it_does_not_have(admin_client):
    lists = []
    for path in paths(get_resolver().url_patterns):
        if path.startswith(("/sign-", "/setup")):
            continue
        answer = admin_client.get(path, headers=JSON)
        if answer.status_code != 200 or "json" not in answer["Content-Type"] or "pages" not in answer.json():
            continue
        lists.append(path)
        for query in ("nothing=1", "sort=nothing", "page=nothing"):
            refused = admin_client.get(f"{path}?{query}", headers=JSON)
            assert (refused.status_code, path) == (422, path)
            assert list(refused.json()["errors"]) == [query.partition("=")[0]]
        assert admin_client.get(f"{path}?nothing=1").status_code == 200  # a person sees all
    assert len(lists) >= FEWEST, lists
