"""Names that look like others."""

import pytest

from accounts.models import User
from pages.names import both_spellings, mixes_scripts
from tests.gestion.test_every_url import signed_in
from tests.gestion.url_arguments import make_world


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("example.org", "example.org"),
        ("xn--bcher-kva.example", "bücher.example (xn--bcher-kva.example)"),
        ("*.xn--bcher-kva.example", "*.bücher.example (*.xn--bcher-kva.example)"),
        ("xn--pple-43d.com", "аpple.com (xn--pple-43d.com; letters of several scripts)"),
        ("xn--80ak6aa92e.com", "аррӏе.com (xn--80ak6aa92e.com)"),
        ("xn--0", "xn--0"),
        ("xn--", "xn--"),
        ("аdmin", "аdmin (xn--dmin-43d; letters of several scripts)"),
        ("日本ユーザー", None),
        ("ada", "ada"),
    ],
)
def test_a_name_is_shown_in_both_spellings(name, seen):
    assert both_spellings(name) == seen or (seen is None and both_spellings(name).startswith(f"{name} (xn--"))


MIXED = ["аdmin", "αdmin", "東京д"]
ONE_LANGUAGE = ["Ärger9", "東京タワーtv", "", "админ"]


@pytest.mark.parametrize(
    ("text", "mixed"), [*((text, True) for text in MIXED), *((text, False) for text in ONE_LANGUAGE)]
)
def test_scripts_that_no_language_mixes_are_noticed(text, mixed):
    assert mixes_scripts(text) is mixed


@pytest.mark.django_db
def test_people_with_look_alike_names_can_be_told_apart():
    world = make_world()
    double = User.objects.create_user("аda", "correct horse battery")  # the first letter is Cyrillic
    client = signed_in(world.admin)
    assert "аda (xn--da-6kc; letters of several scripts)" in client.get("/users/").content.decode()
    assert "letters of several scripts" in client.get(double.get_absolute_url()).content.decode()
