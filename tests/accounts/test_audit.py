"""The audit trail's page and the history on other pages."""

import csv
import io
import json

import pytest
from django.template import Context, Template

from accounts import audit, services
from accounts.actors import Actor
from accounts.models import AuditEntry
from accounts.tokens import create_token
from accounts.verbs import verb_words
from pages.csv_answers import cell_text

JSON = {"Accept": "application/json"}


@pytest.fixture
def trail(admin, member):
    actor = Actor(admin, "ada", "203.0.113.5")
    services.change_user(actor, member, full_name="Mel <script>")
    create_token(actor, member, name="export", days=None)
    audit.record(Actor.system("scheduler"), "servers.check")


def rows(client, query=""):
    return client.get(f"/audit/{query}", headers=JSON).json()["rows"]


def test_the_newest_is_first(admin_client, trail):
    verbs = [row["verb"] for row in rows(admin_client)]
    assert verbs == ["servers.check", "token.create", "user.change"]


@pytest.mark.parametrize(
    ("query", "verbs"),
    [
        ("?who=scheduler", ["servers.check"]),
        ("?what=user.change", ["user.change"]),
        ("?q=export", ["token.create"]),
        ("?q=203.0.113.5 change", ["user.change"]),
        ("?q=made", ["token.create"]),  # said of it, not kept
        ("?kind=accounts.apitoken", ["token.create"]),
        ("?when=1", ["servers.check", "token.create", "user.change"]),
        ("?until=2020-01-01", []),
        ("?from=2020-01-01&who=ada", ["token.create", "user.change"]),
    ],
)
def test_search_and_filters(admin_client, trail, query, verbs):
    assert [row["verb"] for row in rows(admin_client, query)] == verbs


@pytest.mark.parametrize("place", ["/audit/", "/audit/download/"])
def test_who_was_never_there_gives_a_person_all_and_a_program_none(admin_client, trail, place):
    answer = admin_client.get(f"{place}?who=nobody")
    assert "token.create" in b"".join(answer).decode()
    answer = admin_client.get(f"{place}?who=nobody", headers=JSON)
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["who"])
    assert admin_client.get(f"{place}?who=ada&from=2020-01-01", headers=JSON).status_code == 200


def test_one_objects_entries(admin_client, trail, member):
    found = rows(admin_client, f"?object=accounts.user:{member.pk}")
    assert [row["verb"] for row in found] == ["user.change"]
    assert found[0]["before"] == {"full_name": ""}
    assert rows(admin_client, "?object=accounts.user:0") == []


def test_before_and_after_are_shown_and_escaped(admin_client, trail):
    page = admin_client.get("/audit/").content.decode()
    assert "<ins>Mel &lt;script&gt;</ins>" in page
    assert "<script>alert" not in page


def test_the_number_of_queries_does_not_grow(admin_client, trail, django_assert_max_num_queries):
    for number in range(60):
        audit.record(Actor.system("scheduler"), f"test.{number % 3}")
    with django_assert_max_num_queries(10):
        admin_client.get("/audit/")


def test_the_history_tag_shows_an_objects_changes_but_no_sign_ins(trail, member, admin):
    audit.record(Actor(member, "mel"), "session.begin", member)
    template = Template("{% load accounts_tags %}{% history person %}")
    page = template.render(Context({"person": member, "user": admin}))
    assert "user.change" in page
    assert "session.begin" not in page
    assert f"?object=accounts.user%3A{member.pk}" in page
    assert "audit" not in template.render(Context({"person": member, "user": member}))


@pytest.mark.django_db
def test_unknown_values_become_text(admin):
    entry = audit.record(Actor.system("x"), "a.b", admin, after={"user": admin, "when": admin.date_joined})
    kept = AuditEntry.objects.get(pk=entry.pk).after or {}
    assert kept["user"] == admin.pk
    assert kept["when"].startswith("20")


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("session.begin", "signed in"),
        ("server.change", "changed: server"),
        ("backup_set.create", "made: backup set"),
        ("new_room.new_thing", "new thing: new room"),
        ("odd", "odd"),
    ],
)
def test_verbs_are_shown_in_words_also_of_a_room_that_is_new(verb, words):
    assert verb_words(verb) == words


def test_the_page_says_it_in_words(admin_client, trail):
    page = admin_client.get("/audit/").content.decode()
    assert ">made an API token<" in page
    assert ">changed: user<" in page


@pytest.mark.parametrize("query", ["?from=yesterday", "?until=2026-02-31"])
def test_what_is_no_day_is_refused(admin_client, query):
    assert admin_client.get(f"/audit/{query}").status_code == 400


@pytest.mark.parametrize("query", ["from=2999-01-01", "until=1999-01-01", "object=servers.server:77"])
def test_an_address_that_fits_nothing_is_not_a_trail_without_entries(admin_client, trail, query):
    page = admin_client.get(f"/audit/?{query}").content.decode()
    assert "Nothing matches" in page
    assert "Nothing has changed yet" not in page


def test_the_file_has_what_the_page_is_narrowed_to(admin_client, trail):
    answer = admin_client.get("/audit/download/?what=user.change")
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [(row["actor_name"], row["verb"], row["words"]) for row in rows] == [
        ("ada", "user.change", "changed: user")
    ]
    assert json.loads(rows[0]["after"]) == {"full_name": "Mel <script>"}
    answer = admin_client.get("/audit/download/?as=json")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [json.loads(line)["verb"] for line in lines] == ["servers.check", "token.create", "user.change"]


def test_a_spreadsheet_takes_no_cell_for_a_formula(admin_client, admin):
    audit.record(Actor(admin, '=HYPERLINK("http://evil.example")'), "a.b")
    answer = admin_client.get("/audit/download/")
    assert "'=HYPERLINK" in b"".join(answer.streaming_content).decode()
    assert [cell_text(value) for value in ("+1", "-1", "@x", "x=1", None)] == ["'+1", "'-1", "'@x", "x=1", ""]


def test_a_member_gets_no_file(member_client):
    assert member_client.get("/audit/download/").status_code == 403
