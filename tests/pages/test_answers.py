"""The same URL for people and programs."""

import json

import pytest
from django import forms
from django.core.exceptions import BadRequest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from pages.answers import form_data, show_form, wants_json
from pages.buttons import NoFields
from tests.fuzz.examples import tried

JSON = "application/json"


class ThingForm(forms.Form):
    name = forms.CharField(label="Name")
    count = forms.IntegerField(required=False)
    on = forms.BooleanField(required=False)
    many = forms.MultipleChoiceField(choices=[("a", "A"), ("b", "B")], required=False)


def posted(body, content_type=JSON):
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return RequestFactory().post("/", data, content_type=content_type)


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("application/json", True),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
        ("*/*", False),
        ("", False),
        ("application/json;q=0.5, text/html", False),
        ("text/plain", True),
        ("text/csv, application/xml;q=0.5", True),
        ("text/html;q=0, application/json", True),
        ("text/plain, */*;q=0.1", False),
    ],
)
def test_who_asks_for_json_gets_it(accept, json_wanted):
    request = RequestFactory(headers={"Accept": accept}).get("/")
    assert wants_json(request) is json_wanted


def test_a_get_binds_no_form():
    assert form_data(RequestFactory().get("/?name=x")) is None


def test_a_json_body_fills_a_form():
    form = ThingForm(form_data(posted({"name": "x", "count": 3, "on": True, "many": ["a", "b"]})))
    assert form.is_valid()
    assert form.cleaned_data == {"name": "x", "count": 3, "on": True, "many": ["a", "b"]}
    form = ThingForm(form_data(posted({"name": "x", "count": None, "on": False})))
    assert form.is_valid()
    assert form.cleaned_data == {"name": "x", "count": None, "on": False, "many": []}


@pytest.mark.parametrize("body", ["{", "[]", '"text"', "3", "null", b"\xff"])
def test_a_body_that_is_no_json_object_is_a_bad_request(body):
    with pytest.raises(BadRequest):
        form_data(posted(body))


@pytest.mark.parametrize("called", ["text/plain", "application/vnd.api+json", "application/octet-stream", ""])
def test_a_body_that_nobody_reads_is_no_empty_one(called, admin_client):
    """It was “Saved” with nothing of it; fetch() of a browser calls a text text/plain."""
    accept = {"accept": "application/json"}
    said = admin_client.post("/servers/new/", b'{"name": "x"}', content_type=called, headers=accept)
    assert said.status_code == 400
    assert "send it as application/json" in said.json()["errors"]["__all__"][0]
    assert not form_data(RequestFactory().post("/", b"", content_type=called))


def test_a_question_in_the_address_and_an_unknown_file_are_not_passed_over(admin_client):
    accept = {"accept": "application/json"}
    said = admin_client.post("/servers/new/?preview=true", {"name": "x"}, headers=accept)
    assert said.status_code == 400
    assert "in the body" in said.json()["errors"]["__all__"][0]
    file = SimpleUploadedFile("a", b"x")
    form = NoFields(form_data(RequestFactory(headers=accept).post("/", {"mane": file})))
    assert list(form.errors) == ["mane"]


@tried(20)
@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
)
def test_no_json_object_breaks_a_form(body):
    try:
        data = form_data(posted(body))
    except BadRequest:
        return
    ThingForm(data).is_valid()


@given(st.dictionaries(st.text(max_size=9), st.none() | st.booleans() | st.text(), max_size=9))
def test_every_text_of_a_json_object_reaches_the_form_as_it_was(body):
    kept = {name: text for name, text in body.items() if isinstance(text, str) and "\0" not in name + text}
    data = form_data(posted(kept))
    assert data is not None
    assert {name: data[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": -Infinity}', "is no number"),
        (b'{"\\u0000": "a"}', "has a character"),
        (b'{"a": "\\ud800"}', "“a” has a character"),
        (b'{"a": ["x", "\\udc00"]}', "“a” has a character"),
        (b'{"a": {"b": 1}}', "“a” must be a value"),
        (b'{"a": [{"b": 1}]}', "nested too deeply"),
        (b"[" * 99999, "values"),
        (b"{" + b",".join(b'"k%d":1' % number for number in range(2000)) + b"}", "at most 1000"),
        (b'{"a": "' + b"x" * 2_700_000 + b'"}', "too long"),
        ('{"a": "x"}'.encode("utf-16"), "not valid JSON"),
    ],
)
def test_a_json_body_above_a_limit_is_a_bad_request_that_says_so(body, word):
    request = posted(body)
    request._body = body  # Django's own limit for a body stands before ours
    with pytest.raises(BadRequest, match=word):
        form_data(request)


def test_numbers_of_json_are_taken_as_they_are_written():
    data = form_data(posted(b'{"a": 1.50, "b": 1e999, "c": ' + b"9" * 5000 + b"}"))
    assert data is not None
    assert (data["a"], data["b"], data["c"]) == ("1.50", "1e999", "9" * 5000)


def test_brackets_and_commas_inside_texts_are_no_nesting():
    text = '[[[{{{,,,\\"[[' * 500
    data = form_data(posted({"a": text}))
    assert data is not None
    assert data["a"] == text


@pytest.mark.parametrize("body", ["%00=a", "a=1&a%00b=2"])
def test_a_form_with_nul_in_a_name_is_a_bad_request_too(body):
    with pytest.raises(BadRequest, match="has a character"):
        form_data(posted(body, "application/x-www-form-urlencoded"))


def test_errors_come_by_the_field_with_422():
    request = RequestFactory(headers={"Accept": JSON}).post("/", "{}", content_type=JSON)
    answer = show_form(request, "unused.html", ThingForm(form_data(request)))
    assert answer.status_code == 422
    assert json.loads(answer.content)["errors"] == {"name": ["This field is required."]}


def test_a_program_may_ask_what_a_form_wants():
    request = RequestFactory(headers={"Accept": JSON}).get("/")
    answer = json.loads(show_form(request, "unused.html", ThingForm(initial={"count": 2})).content)
    assert answer["fields"]["name"] == {"label": "Name", "required": True}
    assert answer["initial"] == {"count": 2}
