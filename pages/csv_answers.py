"""Tables as CSV files (RFC 4180), sent as they are read; spreadsheets must not take a cell for a formula."""

import csv
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

from pages.hidden import shown

_FORMULA = "=+-@"
_BREAKS = ("\t", "\r", "\n")


class _Line:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def csv_answer(name: str, head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> StreamingHttpResponse:
    """A download called `name`, with this head line."""
    return StreamingHttpResponse(
        _lines(head, rows),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"},
    )


def _lines(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    # All cells in quotes: none can be cut in two by a program that takes ; or a tab for the separator.
    writer = csv.writer(_Line(), quoting=csv.QUOTE_ALL)
    yield writer.writerow([cell_text(cell) for cell in head])
    for row in rows:
        yield writer.writerow([cell_text(value) for value in row])


def cell_text(value: Any) -> str:
    """A value as a cell: empty for None, with an apostrophe before what would be a formula (CWE-1236).

    Programs skip blanks before a formula, and take full-width and small forms for its sign (Unicode's NFKC).
    """
    text = "" if value is None else shown(str(value))
    first = unicodedata.normalize("NFKC", text.lstrip()[:1])[:1]
    return f"'{text}" if text.startswith(_BREAKS) or (first and first in _FORMULA) else text
