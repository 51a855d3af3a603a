"""The templates of what hosts get: every room has its own folder of them, and fills them in the same way."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


class NotWritable(ValueError):  # noqa: N818 - what the rows should never hold
    """A value that would change the structure of a file; the forms let none in. str() is a sentence for a person."""


def environment(folder: Path, filters: Mapping[str, Callable[..., Any]], **options: Any) -> Environment:
    """The templates in a folder. A name that nobody gave is an error; no value gets in without a format's filter.

    `filters` write a value as their format wants it, and raise NotWritable for what it cannot hold. `options` are
    Jinja's own, for a room whose files want other marks.
    """
    marks: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True, **options}
    made = Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - no HTML; each value goes through its format's own filter
        keep_trailing_newline=True,
        **marks,
    )
    made.filters.update(filters)
    return made
