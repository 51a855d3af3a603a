"""Search, sort, filter and paging."""

import json

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from pages.lists import Filter, ListPage, render_list


def listing(query: str = "", **options) -> ListPage:
    return ListPage(
        RequestFactory().get(f"/{query}"),
        User.objects.all(),
        search=("username", "full_name"),
        sorts={"name": "username", "role": ("-is_admin", "username")},
        default_sort="name",
        filters=(Filter("role", "Role", [("admin", "admins")], lambda rows, _v: rows.filter(is_admin=True)),),
        **options,
    )


def names(found: ListPage) -> list[str]:
    return [user.username for user in found.rows]


@pytest.fixture
def people(db):
    User.objects.create_superuser("ada", full_name="Ada Lindqvist")
    User.objects.create_user("mel", full_name="Mel Okafor")
    User.objects.create_user("zoe", full_name="Zoe Adamu")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["ada", "mel", "zoe"]),
        ("?q=ADA", ["ada", "zoe"]),
        ("?q=ada+zoe", ["zoe"]),
        ("?q=%25", []),
        ("?q=a%00da", ["ada", "zoe"]),
        ("?sort=-name", ["zoe", "mel", "ada"]),
        ("?sort=role", ["ada", "mel", "zoe"]),
        ("?sort=-role", ["zoe", "mel", "ada"]),
        ("?sort=password", ["ada", "mel", "zoe"]),
        ("?role=admin", ["ada"]),
        ("?role=other", ["ada", "mel", "zoe"]),
        ("?page=99", ["ada", "mel", "zoe"]),
        ("?page=x", ["ada", "mel", "zoe"]),
    ],
)
def test_the_query_string_says_what_is_shown(people, query, expected):
    assert names(listing(query)) == expected


@pytest.mark.parametrize(
    ("query", "refused"),
    [
        ("", None), ("?q=&role=&sort=&page=", None), ("?role=admin&sort=-name&page=99&q=x&own=7", None),
        ("?role=other", "role"), ("?role=Admin", "role"), ("?sort=password", "sort"), ("?sort=--name", "sort"),
        ("?page=x", "page"), ("?page=-1", "page"), ("?name=ada", "name"), ("?Role=admin", "Role"),
    ],
)  # fmt: skip
def test_a_program_is_not_given_all_rows_for_what_the_list_does_not_know(people, query, refused):
    found = listing(query, beside=("own",))
    asked = RequestFactory().get(f"/{query}", headers={"accept": "application/json"})
    answer = render_list(asked, "", found)
    told = json.loads(answer.content)
    assert list(told.get("errors", {})) == ([refused] if refused else [])
    assert answer.status_code == (422 if refused else 200)
    assert ("rows" in told) is not bool(refused)


def test_a_search_keeps_what_else_the_address_narrows_by(people):
    found = listing('?object=a.b%3A3&q=x&role=admin&page=2&sort=name&from=1&from="2">')
    assert found.kept == [("object", "a.b:3"), ("from", "1"), ("from", '"2">')]
    shown = render_to_string("pages/_toolbar.html", {"listing": found}, found.request)
    assert '<input type="hidden" name="object" value="a.b:3">' in shown
    assert '<input type="hidden" name="from" value="&quot;2&quot;&gt;">' in shown


def test_pages(people):
    first = listing("?q=&role=", per_page=2)
    assert names(first) == ["ada", "mel"]
    assert first.total == 3
    assert first.url(page=2) == "?page=2"
    assert names(listing("?page=2", per_page=2)) == ["zoe"]
    assert first.page_numbers == [1, 2]


def test_many_pages_are_offered_with_gaps(db):
    User.objects.bulk_create(User(username=f"user{number:03}") for number in range(100))
    assert listing("?page=10", per_page=5).page_numbers == [1, None, 8, 9, 10, 11, 12, None, 20]


def test_sorting_again_turns_it_round_and_goes_to_the_first_page(people):
    assert listing("?page=2&q=a").sort_url("name") == "?q=a&sort=-name"
    assert listing("?sort=-name").sort_url("name") == "?sort=name"


def test_narrowed_says_whether_something_hides_rows(people):
    assert not listing("?sort=-name&page=2").narrowed
    assert listing("?q=a").narrowed
    assert listing("?role=admin").narrowed


@pytest.mark.django_db
@given(query=st.dictionaries(st.sampled_from(["q", "sort", "page", "role"]), st.text(max_size=20)))
def test_no_query_string_breaks_a_list(query):
    request = RequestFactory().get("/", query)
    found = ListPage(request, User.objects.all(), search=("username",), sorts={"name": "username"})
    assert list(found.rows) == []


def test_a_program_gets_the_rows_and_the_count(people):
    found = listing("?q=ada")
    found.request.META["HTTP_ACCEPT"] = "application/json"
    answer = render_list(found.request, "unused.html", found, row_json=lambda user: {"name": user.username})
    assert (
        answer.content == b'{"rows": [{"name": "ada"}, {"name": "zoe"}], "page": 1, "pages": 1, "total": 2}'
    )
