"""Reads files of wizards in processes of their own first: one that never ends, or takes it all, takes its own alone.

`python -m wizards.trying SECONDS FILE…` prints as JSON why each file cannot be used ("" if it can): see hosts/apart.py.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings

from fabrun.catalogue import why_unread
from hosts import apart


def try_files(paths: Sequence[Path], seconds: float) -> dict[Path, str]:
    """Why each of these files cannot be used, "" where it can; `seconds` for each."""
    argv = [sys.executable, "-m", "wizards.trying", str(seconds)]
    try:
        found = apart.from_helper(argv, paths, seconds, cwd=settings.BASE_DIR, env=os.environ)
    except (ValueError, OSError) as error:
        return {path: f"{path.name}: {error}" for path in paths}
    return {
        path: said if isinstance(said, str) else why_unread(path, said, seconds)
        for path, said in found.items()
    }


def main() -> None:
    """Try each file that the command line names."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gestion.settings")
    django.setup()
    from wizards import catalogue

    paths = [Path(path) for path in sys.argv[2:]]
    sys.stdout.write(json.dumps(apart.read_apart(paths, catalogue.why_not, float(sys.argv[1]))))


if __name__ == "__main__":
    main()
