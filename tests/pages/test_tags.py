"""How times, sizes, states, fields and diffs look."""

import datetime

import pytest
from django import forms
from django.template import Context, Template
from django.utils import timezone

from pages.registry import Panel
from pages.widgets import CheckList


def render(text: str, **context) -> str:
    return Template(text).render(Context(context))


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (datetime.timedelta(seconds=5), "just now"),
        (datetime.timedelta(minutes=5, seconds=10), "5\xa0minutes ago"),
        (datetime.timedelta(days=-2, seconds=-10), "in 2\xa0days"),
    ],
)
def test_times_are_said_with_the_exact_one_on_hover(ago, said):
    moment = timezone.now() - ago
    page = render("{% when moment %}", moment=moment)
    assert f">{said}</time>" in page
    assert moment.strftime('title="%Y-%m-%d %H:%M:%S UTC"') in page


def test_no_time_is_never():
    assert render("{% when moment %}", moment=None) == "never"
    assert render("{% when moment 'not yet' %}", moment=None) == "not yet"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (2**40 * 3000, "3000.0 TiB"), (None, "")],
)
def test_sizes_are_in_binary_units(count, said):
    assert render("{{ count|binary_size }}", count=count) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("`services` are units", "<code>services</code> are units"),
        ("a ``b c`` d `e`.", "a <code>b c</code> d <code>e</code>."),
        ("`<b>` & <i>", "<code>&lt;b&gt;</code> &amp; &lt;i&gt;"),
        ("one ` alone, two `` ` too", "one ` alone, two `` ` too"),
        ("``` three ```", "``` three ```"),
        ("` spaces ` stay", "` spaces ` stay"),
        ("over `a\nline` end", "over `a\nline` end"),
        ("", ""),
    ],
)
def test_what_stands_between_backticks_is_code(text, said):
    assert render("{{ words|with_code }}", words=text) == said


def test_code_stands_within_paragraphs():
    page = render("{{ words|with_code|linebreaks }}", words="a `b`\n\n<c>")
    assert page == "<p>a <code>b</code></p>\n\n<p>&lt;c&gt;</p>"


def test_a_state_is_a_colour_and_a_word_and_is_escaped():
    assert render("{% state 'in_sync' %}") == '<span class="state state-green">in sync</span>'
    assert 'state-secondary">&lt;b&gt;' in render("{% state value %}", value="<b>")


class KitForm(forms.Form):
    name = forms.CharField(help_text="A <b>name</b>.")
    on = forms.BooleanField(required=False)
    many = forms.MultipleChoiceField(choices=[("1", "<one>")], widget=CheckList, required=False)


def test_a_field_has_label_help_and_errors_that_it_points_to():
    page = render("{% field form.name %}", form=KitForm({"name": ""}))
    assert '<label class="form-label" for="id_name">' in page
    assert 'aria-describedby="id_name_helptext id_name_error"' in page or (
        'id="id_name_helptext"' in page and 'aria-describedby="' in page
    )
    assert 'id="id_name_error"' in page
    assert 'aria-invalid="true"' in page
    assert "is-invalid" in page


def test_choices_are_a_group_with_a_legend():
    page = render("{% field form.many %}", form=KitForm())
    assert "<fieldset" in page
    assert "<legend" in page
    assert "&lt;one&gt;" in page


def test_a_form_shows_all_fields_and_the_errors_on_top():
    form = KitForm({"name": "x", "many": ["2"]})
    form.is_valid()
    form.add_error(None, "Both are taken.")
    page = render("{% include 'pages/_form.html' %}", form=form)
    assert page.index("Both are taken.") < page.index("id_name")
    assert 'type="checkbox"' in page


def test_a_diff_is_coloured_and_escaped():
    page = render("{% include 'pages/_diff.html' %}", diff="--- a\n+++ b\n@@ -1 +1 @@\n-<old>\n+new\n same\n")
    assert '<span class="diff-remove">-&lt;old&gt;' in page
    assert '<span class="diff-add">+new' in page
    assert page.count("diff-file") == 2
    assert "No difference" in render("{% include 'pages/_diff.html' %}", diff="")


def test_a_panel_is_drawn_in_the_pages_context_and_its_own():
    part = Panel("pages/_copy.html", {"value": "text", "name": "own"})
    page = render("{% panel part %}{{ value }}", part=part, label="From the page")
    assert 'id="own"' in page
    assert "From the page" in page
    assert page.endswith("</div>\n")


@pytest.mark.parametrize(
    ("context", "has", "lacks"),
    [
        ({"blocked": [{"text": "2 guests", "url": "/x/"}]}, "2 guests", "btn-danger"),
        ({"holds": [{"text": "3 keys"}]}, "3 keys", "Nothing else"),
        ({}, "Nothing else hangs on it", "blocked"),
    ],
)
def test_a_delete_page_says_what_goes_and_what_must_go_first(context, has, lacks):
    page = render("{% include 'pages/_confirm_delete.html' %}", cancel_url="/", **context)
    assert has in page
    assert lacks not in page
