"""The same URL for people and programs."""

import json

import pytest
from django import forms
from django.core.exceptions import BadRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from pages.answers import form_data, show_form, wants_json

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


@given(
    st.dictionaries(st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
)
def test_no_json_object_breaks_a_form(body):
    ThingForm(form_data(posted(body))).is_valid()


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
