"""Where a request may send the browser."""

from urllib.parse import quote, unquote, urljoin, urlsplit

import pytest
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st

from pages.targets import own_path, page_before

BASE = "https://panel.example.org/sign-in/"
GOOD = [
    "/",
    "/profile/",
    "/servers/?q=a+b&sort=-name",
    "/servers/7/",
    "/?next=//evil.example",
    "/audit/?object=a%3A1",
]
BAD = [
    "",
    "profile/",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https:evil.example",
    "https://evil.example/",
    "http://testserver/profile/",
    "javascript:alert(1)",
    "\tjavascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    "/%0a/evil.example",
    "/%09/evil.example",
    "/%5cevil.example",
    "/%2fevil.example",
    "/%2f%2fevil.example",
    "%2f%2fevil.example",
    "%2f",
    "%2fprofile/",
    "/.//evil.example",
    "/profile/..//evil.example",
    "/profile/%2e%2e/sign-out/",
    "/githooks/../secret/",
    "/githooks/%2e%2e/secret/",
    " /profile/",
    "/profile/ ",
    "/profile/\x00",
    "/profile/\u202e",
    "/%ff/",
    "/nowhere/",
    "/servers/" + "?q=" + "a" * 3000,
    "@evil.example",
    "/@evil.example",
    ";//evil.example",
]


@pytest.mark.parametrize("wanted", GOOD)
def test_a_page_of_ours_is_gone_to(wanted):
    assert own_path(wanted) == wanted


@pytest.mark.parametrize("wanted", BAD)
def test_anything_else_is_not(wanted):
    assert own_path(wanted) == ""


def _as_browsers_read(text: str) -> str:
    """The address that a browser makes of it: without tabs and line breaks, a backslash is a slash (WHATWG URL)."""
    plain = text.strip("".join(map(chr, range(0x21)))).translate({9: None, 10: None, 13: None})
    return urljoin(BASE, plain.replace("\\", "/"))


PIECES = st.sampled_from(
    ["/", "//", "\\", "profile/", "servers/", "githooks/", "evil.example", "https:", "javascript:", "@", "?", "#",
     "..", ".", "%2f", "%5c", "%0a", "%2e%2e", "\t", "\n", "\r", " ", "\x00", ":", ";", "next=", "\u2028", "\uff0f"]
)  # fmt: skip
WANTED = st.one_of(
    st.lists(PIECES, max_size=8).map("".join), st.text(max_size=30), st.text(max_size=20).map("/".__add__)
)


@settings(max_examples=300, deadline=None)
@given(WANTED)
def test_what_is_gone_to_stays_on_this_panel_however_a_browser_reads_it(wanted):
    found = own_path(wanted)
    assert found in ("", wanted)
    if found:
        there = urlsplit(_as_browsers_read(found))
        assert (there.scheme, there.netloc) == ("https", "panel.example.org")
        assert "//" not in unquote(there.path)
        assert own_path(there.path) == there.path


@pytest.mark.parametrize(
    ("referer", "page"),
    [
        ("http://testserver/servers/?q=a", "/servers/?q=a"),
        ("http://testserver//evil.example/", ""),
        ("http://testserver/" + quote("//") + "evil.example", ""),
        ("https://testserver/servers/", ""),
        ("http://testserver:81/servers/", ""),
        ("http://testserver@evil.example/servers/", ""),
        ("http://evil.example/servers/", ""),
        ("http://[", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_the_page_before_is_one_of_ours(referer, page):
    assert page_before(RequestFactory().get("/", headers={"Referer": referer})) == page
