"""What is said when a wizard's own file is at fault: which file, which line, what."""

import traceback
from pathlib import Path

# That somebody's code raises, such as SystemExit or asyncio.CancelledError: none of it ends the panel, or leaves a run
# that goes on for ever.
WHATEVER = BaseException


class Broken(Exception):  # noqa: N818  # its text is a sentence for the page
    """A wizard cannot be used: its file says something that cannot work."""


def where(error: BaseException, path: Path) -> str:
    """What went wrong in a file, and in which line of it."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)
    ]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines = [error.lineno]
    place = f"{path.name}, line {lines[-1]}" if lines and lines[-1] else path.name
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{place}: {type(error).__name__}{words and f': {words}'}"
