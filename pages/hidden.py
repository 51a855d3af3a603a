"""Characters that a reader cannot see, or that turn round what they see: refused where people type, shown elsewhere.

Controls, formats (bidirectional ones, zero-width ones: Unicode's category Cf, UAX #9), fillers and selectors that are
drawn as nothing (Default_Ignorable_Code_Point, UAX #44), and line ends that only some programs know.
"""

import re
import unicodedata
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseBase

_ZWNJ, _ZWJ = "\u200c", "\u200d"
# Invisible, though Unicode counts them among letters, marks, symbols and separators.
_BLANKS = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2028\u2029\u2800\u3164\ufe00-\ufe0e\uffa0"
    "\U000e0100-\U000e01ef"
)
_FORMATS = (
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f"
)
HIDDEN = re.compile(f"[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff{_BLANKS}{_FORMATS}]")
_CONTROL_BYTES = re.compile(rb"[\0-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LINES = re.compile("[\t\n\r]")


def hidden_in(text: str, *, lines: bool = False) -> str:
    """The first hidden character of a text, or nothing; with `lines`, tabs and line ends are none."""
    for found in HIDDEN.finditer(text):
        if not _joins(text, found.start()):
            return found[0]
    found_line = None if lines else _LINES.search(text)
    return found_line[0] if found_line else ""


def name_of(character: str) -> str:
    """How to speak of it: U+202E (RIGHT-TO-LEFT OVERRIDE)."""
    known = unicodedata.name(character, "")
    return f"U+{ord(character):04X}" + (f" ({known})" if known else "")


def shown(text: str) -> str:
    """The text with each hidden character as its number, such as ‹U+202E›; line ends and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return HIDDEN.sub(
        lambda found: found[0] if _joins(text, found.start()) else f"‹U+{ord(found[0]):04X}›", text
    )


def _joins(text: str, at: int) -> bool:
    """Whether a joiner is part of the spelling: in Arabic, after a virama (RFC 5892, A.1), in emoji."""
    if text[at] not in (_ZWNJ, _ZWJ) or at == 0 or at + 1 == len(text):
        return False
    before, after = text[at - 1], text[at + 1]
    if unicodedata.combining(before) == 9:  # a virama
        return True
    if unicodedata.bidirectional(before) == unicodedata.bidirectional(after) == "AL":
        return True
    picture = unicodedata.category(before) in {"So", "Sk"} or before == "\ufe0f"
    return text[at] == _ZWJ and picture and unicodedata.category(after) == "So"


class ShowHiddenMiddleware:
    """Every page shows hidden characters by their numbers, whoever typed them and whichever host answered them.

    Templates of ours have none. JSON and files carry texts as they are.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, with nothing hidden in it."""
        answer = self.get_response(request)
        is_page = answer.headers.get("Content-Type", "").startswith("text/html")
        if isinstance(answer, HttpResponse) and is_page and _may_hide(answer.content):
            answer.content = shown(answer.content.decode(errors="replace")).encode()
        return answer


def _may_hide(content: bytes) -> bool:
    """Whether a page is worth a closer look: most are plain ASCII."""
    return not content.isascii() or _CONTROL_BYTES.search(content) is not None
