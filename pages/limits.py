"""How much one request may ask for, checked before anything is read from the database or parsed at length.

What people type is far below every limit here; what is above one is answered 400 with the limit in words.
"""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict
from django.utils.translation import gettext as _

MOST_QUERY = 8000  # bytes of a query string; what browsers send and Daphne takes (16 KiB with the path)
MOST_PARAMETERS = 100  # of a query string
MOST_WORDS = 10  # of one search; each costs the database a look at every row
LONGEST_SEARCH = 200  # characters of one search
DEEPEST_JSON = 2  # an object of values and of lists of values
CANNOT_BE_KEPT = re.compile("[\0\ud800-\udfff]")  # PostgreSQL takes no NUL, UTF-8 knows no lone surrogate
HALF_PAIR = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
# A JSON text's strings, an unended last one too: each place is looked at once (possessive, no way back).
_STRINGS = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


class RequestLimitsMiddleware:
    """Refuses addresses that nothing could be found by, and forgets cookies that nobody can have got from us."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer. Raises BadRequest, or Http404 for a path that cannot be one of ours."""
        query = request.META.get("QUERY_STRING", "")
        if _CONTROLS.search(request.path):
            raise Http404
        if len(query) > MOST_QUERY or query.count("&") >= MOST_PARAMETERS:
            told = {"bytes": MOST_QUERY, "number": MOST_PARAMETERS}
            raise BadRequest(
                _("This address asks for too much: at most %(bytes)d bytes and %(number)d parameters.") % told
            )
        # A cookie's value may be quoted, and its \000 is then a NUL (Django's parse_cookie).
        request.COOKIES = {name: text for name, text in request.COOKIES.items() if not _CONTROLS.search(text)}
        return self.get_response(request)


def search_words(text: str) -> list[str]:
    """The words of a search, each once, without what no row can have; at most MOST_WORDS, LONGEST_SEARCH long."""
    cut = CANNOT_BE_KEPT.sub("", text[: LONGEST_SEARCH * 2]).strip()[:LONGEST_SEARCH]
    return list(dict.fromkeys(cut.split()))[:MOST_WORDS]


def is_too_long(text: str) -> bool:
    """Whether `search_words` leaves out some of this search."""
    return len(text.strip()) > LONGEST_SEARCH or len(set(text.split())) > MOST_WORDS


def check_text(data: QueryDict) -> QueryDict:
    """The same data. Raises BadRequest for what is not text; a NUL in a value is left to its field to refuse."""
    for name, values in data.lists():
        if CANNOT_BE_KEPT.search(name) or any(
            HALF_PAIR.search(text) for text in values if isinstance(text, str)
        ):
            shown = CANNOT_BE_KEPT.sub("\ufffd", name)[:100]
            raise BadRequest(_("“%s” has a character that is not text (NUL or half of a pair).") % shown)
    return data


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object of values and lists of values; numbers come as they were written, as text.

    The limits are those of forms: DATA_UPLOAD_MAX_MEMORY_SIZE bytes, DATA_UPLOAD_MAX_NUMBER_FIELDS values. They are
    checked before parsing. Raises BadRequest; also for a name that comes twice (RFC 8259 leaves open what it
    means) and for NaN and Infinity, which are no JSON.
    """
    _check_size(body)
    try:
        found = json.loads(
            body.decode() or "{}",
            object_pairs_hook=_once_each,
            parse_constant=_no_number,
            parse_int=str,
            parse_float=str,
        )
    except ValueError as error:
        raise BadRequest(_("The body is not valid JSON: %s") % str(error)[:200]) from error
    if not isinstance(found, dict):
        raise BadRequest(_("The body must be a JSON object of field names and values."))
    return found


def _check_size(body: bytes) -> None:
    most, longest = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS, settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    if len(body) > longest:
        raise BadRequest(_("The body is too long: at most %d bytes.") % longest)
    bare = _STRINGS.sub(b"", body)
    if bare.count(b",") >= most or bare.count(b"[") + bare.count(b"{") > most:
        raise BadRequest(_("The body has too many values: at most %d.") % most)
    depth = 0
    for bracket in _BRACKETS.findall(bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST_JSON:
            raise BadRequest(_("The body is nested too deeply: values and lists of values, no more."))


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(_("a name comes twice"))
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(_("%s is no number") % word)
