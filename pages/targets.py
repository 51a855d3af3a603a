"""Where a request may send the browser: pages of this panel, and nowhere else."""

import re
from urllib.parse import unquote, urlsplit

from django.http import HttpRequest
from django.urls import Resolver404, ResolverMatch, resolve

MOST = 2000  # characters; what browsers and proxies take without a question
# Browsers read a backslash as a slash, and leave out tabs and line breaks (WHATWG URL Standard, 4.4).
_STRANGE = re.compile(r"[\\\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


def own_path(wanted: str) -> str:
    """`wanted` if it is the path of a page of this panel (a query may follow), or ""."""
    return wanted if page_at(wanted) else ""


def page_at(wanted: str) -> ResolverMatch | None:
    """The view behind a path of ours; None for an address of any other form, and where no view is."""
    try:
        path = unquote(wanted.partition("?")[0], errors="strict")
        if not wanted.startswith("/") or len(wanted) > MOST or _STRANGE.search(wanted + path):
            return None
        if "//" in path or {".", ".."} & set(path.split("/")):
            return None
        return resolve(path)
    except (UnicodeDecodeError, Resolver404):
        return None


def page_before(request: HttpRequest) -> str:
    """The page that the person came from (Referer), if it is one of ours, or ""."""
    try:
        parts = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return ""
    if (parts.scheme, parts.netloc) != (request.scheme, request.get_host()):
        return ""
    return own_path(parts.path + (f"?{parts.query}" if parts.query else ""))
