"""Characters that cannot be seen: refused where people type, shown where texts are shown."""

import importlib
import inspect
import pkgutil
import re
import unicodedata
from pathlib import Path

import pytest
from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from jobs.masking import plain
from pages.csv_answers import cell_text, csv_answer
from pages.forms import CleanText
from pages.hidden import HIDDEN, ShowHiddenMiddleware, hidden_in, name_of, shown
from servers.models import Server
from tests.gestion.test_every_url import signed_in
from tests.gestion.url_arguments import make_world

ROOMS = sorted(path.parent.name for path in Path(settings.BASE_DIR).glob("*/apps.py"))
BAD = [
    "\u202e",
    "\u2066",
    "\u200b",
    "\u200d",
    "\ufeff",
    "\x07",
    "\x1b",
    "\x85",
    "\xad",
    "\u2028",
    "\u3164",
    "\U000e0041",
]


def every_form() -> list[type[forms.BaseForm]]:
    """All forms of all rooms, from their modules."""
    found = set()
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, f"{room}."):
            if ".migrations" in module.name or ".tests" in module.name:
                continue
            for _name, kind in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
                if issubclass(kind, forms.BaseForm) and kind.__module__.split(".")[0] in ROOMS:
                    found.add(kind)
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


FORMS = [kind for kind in every_form() if issubclass(kind, forms.Form | forms.ModelForm)]


def free_texts(kind) -> list[str]:
    """The fields of a form in which people type text that others see."""
    return [
        name
        for name, field in kind.base_fields.items()
        if isinstance(field, forms.CharField | forms.JSONField)
        and not isinstance(field.widget, forms.PasswordInput)
    ]


def test_the_forms_of_all_rooms_are_found():
    assert {kind.__module__.split(".")[0] for kind in FORMS} >= {
        "accounts", "backups", "fabrun", "forwarding", "githooks", "keymanager", "notifications", "proxmox",
        "samba", "servers", "wizards",
    }  # fmt: skip
    assert sum(len(free_texts(kind)) for kind in FORMS) > 60


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_form_refuses_what_cannot_be_seen_in_every_text(kind):
    assert issubclass(kind, CleanText), f"class {kind.__name__}(CleanText, …): see pages/forms.py"
    for name in free_texts(kind):
        for bad in BAD:
            assert refusal(kind.base_fields[name], f"a{bad}b"), f"{name} takes {name_of(bad)}"


def refusal(field: forms.Field, text: str) -> list[str]:
    """What a form with this field alone says of a text."""
    alone = type("Alone", (CleanText, forms.Form), {"text": field})
    return alone({"text": text}).errors.get("text", [])


@pytest.mark.django_db
@pytest.mark.parametrize("bad", ["\u202e", "\u200b", "\x07"])
def test_pages_refuse_it_by_the_field_with_its_name(bad):
    world = make_world()
    client = signed_in(world.admin)
    body = {"name": "web2.example.org", "notes": f"a{bad}b", "keymanager_name": "web2"}
    answer = client.post("/servers/new/", body, "application/json", headers={"Accept": "application/json"})
    assert answer.status_code == 422
    words = answer.json()["errors"]["notes"][0]
    assert f"U+{ord(bad):04X}" in words or "control characters" in words
    assert not Server.objects.filter(name="web2.example.org").exists()
    answer = client.post("/servers/new/", body)
    assert f"‹U+{ord(bad):04X}›" in answer.content.decode()


class NoteForm(CleanText, forms.Form):
    name = forms.CharField()
    note = forms.CharField(widget=forms.Textarea, required=False)
    secret = forms.CharField(widget=forms.PasswordInput, required=False)
    many = forms.MultipleChoiceField(choices=[("a", "A")], required=False)


def test_lines_and_tabs_are_for_texts_of_several_lines():
    assert NoteForm({"name": " a\n", "note": "one\r\n\ttwo"}).is_valid()
    assert NoteForm({"name": "a\nb"}).errors["name"]
    assert NoteForm({"name": "a\tb"}).errors["name"]


def test_a_password_may_have_any_character():
    assert NoteForm({"name": "a", "secret": "a\u200bb"}).is_valid()


@pytest.mark.parametrize(
    "text",
    ["Ärger & Söhne", "日本語", "עברית", "نامه‌ای", "क्‍ष", "👩‍💻", "👨‍👩‍👧 at home", "❤️‍🔥", "a\xa0b", "Ⅻ ½ …"],
)
def test_what_people_write_in_their_languages_is_taken(text):
    assert hidden_in(text) == ""
    assert shown(text) == text


@pytest.mark.parametrize("text", ["pay\u200dpal", "a\u200c", "\u200da", "И\u200dван", "admin\ufe0f\u200d"])
def test_a_joiner_where_nothing_is_joined_is_refused(text):
    assert hidden_in(text) in {"\u200c", "\u200d"}


def test_every_control_and_format_of_unicode_is_hidden():
    for code in range(0x110000):
        category = unicodedata.category(chr(code))
        if category in {"Cc", "Cf", "Cs", "Zl", "Zp"} and chr(code) not in "\t\n\r":
            assert HIDDEN.match(chr(code)), name_of(chr(code))
        elif category in {"Lu", "Ll", "Nd", "Po", "Sm", "Zs"} and code != 0x3164:
            assert not HIDDEN.match(chr(code)), name_of(chr(code))


@given(st.text())
def test_what_is_shown_has_nothing_hidden_and_stays_so(text):
    seen = shown(text)
    assert not hidden_in(seen, lines=True)
    assert shown(seen) == seen
    assert not hidden_in(plain(text), lines=True)


def test_every_page_shows_what_hosts_and_earlier_people_wrote():
    def page(_request):
        return HttpResponse(
            "<p>safe\u202egnp.exe\u200b</p>\n\x1b[31m", content_type="text/html; charset=utf-8"
        )

    answer = ShowHiddenMiddleware(page)(RequestFactory().get("/"))
    assert isinstance(answer, HttpResponse)
    assert answer.content.decode() == "<p>safe‹U+202E›gnp.exe‹U+200B›</p>\n‹U+001B›[31m"


def test_files_and_json_are_sent_as_they_are():
    def file(_request):
        return HttpResponse("a\u202e", content_type="application/json")

    answer = ShowHiddenMiddleware(file)(RequestFactory().get("/"))
    assert isinstance(answer, HttpResponse)
    assert answer.content.decode() == "a\u202e"


@pytest.mark.django_db
def test_a_name_from_before_is_shown_on_lists_and_in_the_trail():
    world = make_world()
    User.objects.filter(pk=world.owner.pk).update(full_name="Olu\u202enimda")
    page = signed_in(world.admin).get("/users/").content.decode()
    assert "Olu‹U+202E›nimda" in page
    assert "\u202e" not in page


def test_no_template_of_ours_has_hidden_characters():
    for path in Path(settings.BASE_DIR, "templates").rglob("*.*"):
        assert not hidden_in(path.read_text(), lines=True), path


def test_a_log_shows_bidirectional_and_zero_width_characters():
    assert plain("\x1b[31mred\x1b[0m \u202eabc\u200b\x07") == "red ‹U+202E›abc‹U+200B›\ufffd"


@pytest.mark.parametrize(
    "text",
    ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", " =1", "\xa0=1", "\u3000=1", "＝1", "＋1", "－1", "＠a", "﹦1",
     "﹢1", "  ＝1", "\n\n@a", "\ttext"],
)  # fmt: skip
def test_no_cell_is_a_formula(text):
    assert cell_text(text) == f"'{text}"


@pytest.mark.parametrize("text", ["\ufeff=1", "\u200b=1", "\u202e=1", "\0=1"])
def test_what_hides_before_a_formula_is_shown(text):
    assert cell_text(text).startswith("‹U+")


def test_cells_are_quoted_and_heads_guarded():
    answer = csv_answer("a.csv", ["=x", "b"], [["a;=1", "two\nlines"], ['"=1"', None]])
    assert answer.getvalue().decode() == ('"\'=x","b"\r\n"a;=1","two\nlines"\r\n"""=1""",""\r\n')


@given(st.text())
def test_no_text_begins_a_cell_as_a_formula(text):
    first = re.sub(r"\s", "", unicodedata.normalize("NFKC", cell_text(text)))[:1]
    assert first not in set("=+-@")


def test_a_hidden_character_is_told_by_its_number_and_its_name_if_it_has_one():
    assert name_of("\u202e") == "U+202E (RIGHT-TO-LEFT OVERRIDE)"
    assert name_of("\x07") == "U+0007"
