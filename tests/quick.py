"""`make quick`: in about a minute, whether a change has broken what is near it. `make check test` is the proof.

Lint, form and floors of everything, types of everything (mypy goes again over what changed alone: the first time takes
a minute), and the tests that `tests/touched.py` finds, without hosts, browser, PostgreSQL and Redis. What would begin
after 50 seconds is left out, and told.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath

from tests.touched import Choice, base_of, changed_paths, choose

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SECONDS = 50
"""After this long no test begins; what has begun, and types, may take the rest of the minute."""

FEW = 3
"""Up to so many files one process is done before a second one would be up."""

NO_TESTS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Check and test what changed; 0 if all is well, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.quick", description=__doc__)
    parser.add_argument("--since", metavar="COMMIT", help="compare with this one")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help=f"begin no test after so many ({SECONDS})"
    )
    parser.add_argument("--list", action="store_true", help="only tell what would run")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    base, how = (options.since, "as asked") if options.since else base_of(ROOT)
    paths = changed_paths(ROOT, base)
    say(f"{len(paths)} files changed since {base[:12]}, {how}")
    choice = choose(ROOT, paths)
    tell(choice)
    if options.list:
        return 0
    failed = checks_and_tests(list(choice.run), until=time.time() + options.seconds)
    say(
        f"{time.monotonic() - begun:.0f} seconds; "
        + (f"failed: {', '.join(failed)}" if failed else "all well")
    )
    return 1 if failed else 0


def say(line: str) -> None:
    """One line of ours among those of the tools."""
    print(f"quick: {line}", flush=True)  # noqa: T201


def tell(choice: Choice) -> None:
    """What runs and why, what does not, and what no test knows."""
    by_reason = Counter((str(PurePath(file).parent), why) for file, why in choice.run.items())
    for (folder, why), count in by_reason.items():
        first = next(
            file for file, other in choice.run.items() if other == why and PurePath(file).match(f"{folder}/*")
        )
        say(f"  {first if count == 1 else f'{folder}, {count} files'}: {why}")
    for file, why in choice.left_out.items():
        say(f"  left out {file}: {why}")
    if choice.unknown:
        say(f"  no test reads or imports: {', '.join(choice.unknown)}")


def checks_and_tests(files: list[str], until: float) -> list[str]:
    """Run them all, types beside the tests; returns the names of those that failed."""
    types = subprocess.Popen(
        [BIN / "mypy", "."], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        commands = {
            "ruff check": ["ruff", "check", "--quiet", "."],
            "ruff format": ["ruff", "format", "--quiet", "--check", "."],
            "lint-imports": ["lint-imports", "--no-logo"],
        }
        failed = [name for name, command in commands.items() if not _succeeds(command)]
        if files and not tests_pass(files, until):
            failed.append("tests")
        told, _ = types.communicate()
    finally:
        types.kill()
    if types.returncode:
        say(f"mypy\n{told}")
        failed.append("mypy")
    return failed


def _succeeds(command: list[str]) -> bool:
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        say(f"{command[0]}\n{done.stdout}{done.stderr}")
    return done.returncode == 0


def tests_pass(files: list[str], until: float) -> bool:
    """Run these test files in this order, as far as time allows."""
    side_by_side = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"] if len(files) > FEW else []
    argv = ["-m", "pytest", "-q", "-p", "tests.deadline", "-m", "not lab and not browser"]
    # The files come in the order of what matters most: neither by chance nor the longest first.
    argv += ["-p", "no:randomly", "-p", "no:tests.schedule", *side_by_side, *files]
    done = subprocess.run(
        [sys.executable, *argv], cwd=ROOT, env={**os.environ, "TESTS_UNTIL": str(until)}, check=False
    )
    return done.returncode in {0, NO_TESTS}


if __name__ == "__main__":
    sys.exit(main())
