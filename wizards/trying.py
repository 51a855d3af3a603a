"""Reads files of wizards in a process of its own first: one that never ends, or takes it all, takes that process alone.

`python -m wizards.trying FILE…` prints for each file a JSON line: its path, and why it cannot be used ("" if it can).
The watchdog is faulthandler's: it needs no turn of the interpreter, so it also ends a single call that waits or counts.
"""

import faulthandler
import json
import os
import re
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _

from hosts.bounds import TooMuch, TooSlow
from hosts.programs import run_program

START_SECONDS = 60.0  # that the process may need to begin with
MEMORY_BYTES = 2 * 1024**3


def try_files(paths: Sequence[Path], seconds: float) -> dict[Path, str]:
    """Why each of these files cannot be used, "" where it can; `seconds` for each."""
    found: dict[Path, str] = {}
    while left := [path for path in paths if path not in found]:
        found |= _some(left, seconds)
    return found


def _some(paths: list[Path], seconds: float) -> dict[Path, str]:
    """At least the first of them: the process ends with the first file that does not end."""
    argv = [sys.executable, "-m", "wizards.trying", str(seconds), *map(str, paths)]
    try:
        done = run_program(
            argv, cwd=settings.BASE_DIR, env=os.environ, seconds=START_SECONDS + seconds * len(paths)
        )
        out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    except (TooSlow, TooMuch, OSError) as error:
        return {paths[0]: f"{paths[0].name}: {error}"}
    found = {Path(path): str(why) for path, why in _answers(out)}
    if not found or len(found) < len(paths):
        culprit = paths[len(found)]
        found[culprit] = _why(culprit, err, seconds)
    return found


def _answers(out: str) -> list[list[str]]:
    """The lines that are ours; a file may print others."""
    lines = (line[len(_MARK) :] for line in out.split("\n") if line.startswith(_MARK))
    return [json.loads(line) for line in lines]


_MARK = "\x1etried "


def _why(path: Path, errors: str, seconds: float) -> str:
    line = re.search(rf'File "{re.escape(str(path))}", line ([0-9]+)', errors)
    if "Timeout (" not in errors:
        return _("%s ends the process that reads it.") % path.name
    told = {"file": path.name, "line": line[1] if line else "?", "seconds": seconds}
    return _("%(file)s, line %(line)s: not read to its end within %(seconds)d seconds.") % told


def main() -> None:
    """Try each file that the command line names."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")
    django.setup()
    from wizards import catalogue

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    for text in sys.argv[2:]:
        faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
        why = catalogue.why_not(Path(text))
        faulthandler.cancel_dump_traceback_later()
        sys.__stdout__.write(f"\n{_MARK}{json.dumps([text, why])}\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
