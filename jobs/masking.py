"""Keeps secrets out of what is shown and saved: known values, and what looks like a secret.

Text comes in chunks that end anywhere; only whole lines are masked and let go, so that no secret slips
through in two halves. A private key's block is left out from its first line to its last.
"""

import json
import re
import threading
from collections.abc import Iterable
from shlex import quote as shell_quote
from urllib.parse import quote as url_quote

from pages.hidden import shown

MASK = "•••••"
LONGEST_LINE = 8000  # characters kept of one line
SHORTEST_PART = 4  # a line of a secret of several lines is masked by itself from this length on

_NAMES = r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|credential"
_PATTERNS = (
    (
        re.compile(rf"""(?i)((?:{_NAMES})[\w-]{{0,20}}["']?\s*[=:]\s*)("[^"]*"|'[^']*'|[^\s"',;]+)"""),
        rf"\1{MASK}",
    ),
    (re.compile(rf"(?i)(--?[\w-]{{0,30}}(?:{_NAMES})\s+)([^\s-]\S*)"), rf"\1{MASK}"),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}"), rf"\1{MASK}"),
    (re.compile(r"(\w://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{MASK}"),
    (re.compile(r"\bgst_[\w-]{20,}"), MASK),
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----")
_ESCAPES = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\^_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


def plain(text: str) -> str:
    """The text without terminal colours, and with other hidden characters made visible."""
    return shown(_CONTROLS.sub("\ufffd", _ESCAPES.sub("", text)))


def after_key(text: str) -> str:
    """What follows the private key that the text, cut off at its front, begins in; all of it if it begins in none."""
    begin, end = _KEY_BEGINS.search(text), _KEY_ENDS.search(text)
    return text[end.end() :] if end and not (begin and begin.start() < end.start()) else text


class Masker:
    """Knows a job's secrets and masks them in one line of text."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._known: tuple[str, ...] | None = None
        self._lock = threading.Lock()
        self.longest = 0
        for text in secrets:
            self.add(text)

    def add(self, secret: str) -> None:
        """Mask this from now on: as it is, as shell, URL and JSON write it, and each of its lines."""
        if not secret:
            return
        parts = [part for part in re.split(r"[\r\n]+", secret) if part]
        if len(parts) > 1:
            parts = [part for part in parts if len(part) >= SHORTEST_PART]
        for part in parts:
            safe = part.encode(errors="replace").decode()
            forms = (
                part,
                shell_quote(part),
                url_quote(safe),
                url_quote(safe, safe=""),
                json.dumps(part)[1:-1],
            )
            new = {text for form in forms if (text := plain(form))}
            with self._lock:
                self._secrets |= new
                self._known = None
                self.longest = max([self.longest, *map(len, new)])

    def _longest_first(self) -> tuple[str, ...]:
        with self._lock:
            if self._known is None:
                self._known = tuple(sorted(self._secrets, key=len, reverse=True))
            return self._known

    def mask(self, line: str) -> str:
        """The line with every known secret, and everything that looks like one, replaced."""
        line = plain(line)
        for secret in self._longest_first():  # a pattern of hundreds of them would take long to compile
            line = line.replace(secret, MASK)
        for pattern, instead in _PATTERNS:
            line = pattern.sub(instead, line)
        return line


class LineMaker:
    """Makes masked lines of one stream's chunks. A part without its line end waits for the rest."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._rest = ""
        self._cut = False
        self._in_key = False

    def feed(self, text: str) -> list[str]:
        """The lines that this chunk completes."""
        *whole, self._rest = (self._rest + text).split("\n")
        lines = [line for raw in whole for line in self._line(raw)]
        # A progress display goes back to the line's start again and again: only its last state counts.
        body, end = (self._rest[:-1], "\r") if self._rest.endswith("\r") else (self._rest, "")
        self._rest = body.rpartition("\r")[2] + end
        room = LONGEST_LINE + self._masker.longest
        if len(self._rest) > room:
            self._rest, self._cut = self._rest[:room], True
        return lines

    def finish(self) -> list[str]:
        """The part that still waits, as a line."""
        rest, self._rest = self._rest, ""
        return self._line(rest) if rest else []

    def _line(self, raw: str) -> list[str]:
        cut, self._cut = self._cut, False
        line = raw.rstrip("\r").rpartition("\r")[2]
        if self._in_key:
            self._in_key = not _KEY_ENDS.search(line)
            return []
        begin = _KEY_BEGINS.search(line)
        if begin:
            end = _KEY_ENDS.search(line, begin.end())
            self._in_key = end is None
            line = line[: begin.start()] + f"({MASK} private key)" + (line[end.end() :] if end else "")
        line = self._masker.mask(line)
        if cut or len(line) > LONGEST_LINE:
            line = line[:LONGEST_LINE] + " … (line cut)"
        return [line]
