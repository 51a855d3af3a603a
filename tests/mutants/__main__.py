"""`python -m tests.mutants --sample 300`: tries a sample of mutants and writes the report; see docs/testing.md.

Everything is done in a copy of the tree, so that a run that is killed leaves no fault in the code. What is known stays
in the folder of --out: which test sees which line (renewed for test files that changed), and each verdict.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.mutants import chosen, making, report
from tests.mutants.making import Mutant
from tests.mutants.sight import Sight

LONGEST = 15.0  # seconds of tests for one mutant, as long as they took while they were watched
PLUGIN = ["-p", "no:cacheprovider", "-p", "no:randomly", "-q", "--nomigrations"]


def pytest_command(*more: str) -> list[str]:
    """How pytest is started for the chosen tests."""
    ignored = [f"--ignore-glob=*/{pattern}" for pattern in chosen.PROCESSES]
    return [sys.executable, "-m", "pytest", *PLUGIN, "-m", "not lab and not browser", *ignored, *more]


def copy_tree(to: Path) -> None:
    """Copy what git knows of, and what is new, to a folder; the environment is linked."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"], check=True, capture_output=True, text=True
    )
    shutil.rmtree(to, ignore_errors=True)
    for name in filter(None, listed.stdout.split("\0")):
        if Path(name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, to / name)
    for name in (".venv", "node_modules"):
        (to / name).symlink_to(Path(name).resolve())


def judging(tree: Path) -> list[str]:
    """The test files that judge mutants."""
    found: list[Path] = []
    for folder in chosen.TESTS:
        path = tree / folder
        found += sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    return [
        str(path.relative_to(tree))
        for path in found
        if not any(path.match(f"*/{pattern}") for pattern in chosen.PROCESSES)
    ]


def digests_of(tree: Path, sight: Sight) -> dict[str, str]:
    """What each test file's sight was of: its own bytes, and those of the chosen code that it ran."""
    ran = sight.code_by_file()
    digests = {}
    for name in judging(tree):
        files = [name, *sorted(ran.get(name, ()))]
        present = [(tree / one).read_bytes() for one in files if (tree / one).exists()]
        digests[name] = sha256(b"".join(present)).hexdigest()
    return digests


def watched(tree: Path, out: Path) -> Sight:
    """Which test sees which line; test files are run again if they, or the code that they ran, changed meanwhile."""
    kept = out / "sight.json"
    old = json.loads(kept.read_text()) if kept.exists() else {"digests": {}, "lines": {}, "seconds": {}}
    sight = Sight(old["lines"], old["seconds"])
    digests = digests_of(tree, sight)
    changed = sorted(name for name, digest in digests.items() if old["digests"].get(name) != digest)
    sight = sight.of_files(set(digests) - set(changed))
    if changed:
        seen = out / "seen.json"
        seen.unlink(missing_ok=True)
        command = pytest_command("-p", "tests.mutants.sight", "--timeout=120", *changed)
        subprocess.run(command, cwd=tree, env={**os.environ, "MUTANTS_SIGHT": str(seen)}, check=False)
        sight = sight.with_more(Sight.read(seen))
        now = {"digests": digests_of(tree, sight), "lines": sight.lines, "seconds": sight.seconds}
        kept.write_text(json.dumps(now))
    return sight


def tests_of(mutant: Mutant, sight: Sight) -> list[str]:
    """The tests that see a mutant, quickest first; of what runs at import alone, all that see its file."""
    tests = sight.tests_of(mutant.name, mutant.first, mutant.last)
    beyond = chosen.BEYOND.get(mutant.name)
    if not tests and beyond:
        return sight.tests_in(beyond)
    if not tests or not mutant.inside:
        tests = sight.tests_of(mutant.name, 1, 10_000)
    total = 0.0
    taken: list[str] = []
    for test in tests:
        total += sight.seconds[test]
        if total < LONGEST or not taken:
            taken.append(test)
    return taken


def asked(mutant: Mutant, sight: Sight) -> dict[str, Any]:
    """A mutant as the tries take it."""
    tests = tests_of(mutant, sight)
    return {
        "key": report.key(mutant),
        "name": mutant.name,
        "source": mutant.source,
        "tests": tests,
        "seconds": sum(sight.seconds[test] for test in tests),
        "swap": mutant.inside and bool(sight.tests_of(mutant.name, mutant.first, mutant.last)),
    }


def in_forks(tried: list[dict[str, Any]], tree: Path, out: Path, answers: Path) -> None:
    """Try these with one pytest that forks."""
    (out / "tried.json").write_text(json.dumps(tried))
    files = sorted({test.partition("::")[0] for one in tried for test in one["tests"]})
    env = {**os.environ, "MUTANTS_TRIED": str(out / "tried.json"), "MUTANTS_ANSWERS": str(answers)}
    subprocess.run(pytest_command("-p", "tests.mutants.trying", *files), cwd=tree, env=env, check=True)


def alone(one: dict[str, Any], tree: Path, number: int) -> dict[str, Any]:
    """Try this one with a pytest of its own, the fault in the file: also what runs at import has it then."""
    path = tree / one["name"]
    right = path.read_bytes()
    stamp = path.stat().st_mtime_ns
    try:
        path.write_text(one["source"])
        later = (
            stamp + (number + 1) * 10**9
        )  # a module compiled before is known by whole seconds and its size
        os.utime(path, ns=(later, later))
        listed = tree / "mutants-tests.txt"
        listed.write_text("\n".join(one["tests"]))
        command = pytest_command("-x", "--timeout=120", f"@{listed}")
        done = subprocess.run(
            command, cwd=tree, timeout=90 + 6 * one["seconds"], capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return {"key": one["key"], "verdict": "timed out", "alone": True}
    finally:
        path.write_bytes(right)
        os.utime(path, ns=(stamp, stamp))
    if done.returncode == 0:
        return {"key": one["key"], "verdict": "survived", "alone": True}
    told = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", "E  "))]
    return {"key": one["key"], "verdict": "caught", "by": (told or ["at import"])[-1][:200], "alone": True}


def main() -> int:
    """Make, try, tell; returns 1 while fewer than 95 of 100 are caught or explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("var/mutants"))
    parser.add_argument("--again", action="store_true", help="try also those whose verdict is known")
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    tree = out / "tree"
    copy_tree(tree)
    sight = watched(tree, out)
    files = [making.places(name, (tree / name).read_text(), only) for name, only in chosen.code(tree).items()]
    mutants = making.sample(files, options.sample, options.seed)
    answers = out / "answers.jsonl"
    if options.again:
        answers.unlink(missing_ok=True)
    try_all([asked(mutant, sight) for mutant in mutants], tree, out, answers)
    return report.write(mutants, report.read(answers), out / "report.md", options.seed)


def try_all(tried: list[dict[str, Any]], tree: Path, out: Path, answers: Path) -> None:
    """Try those that are not known to be caught: in forks first, what survives or cannot be swapped alone."""
    known = report.read(answers)
    left = [
        one
        for one in tried
        if one["tests"] and known.get(one["key"], {}).get("verdict") in {None, "survived"}
    ]
    in_forks([one for one in left if one["swap"]], tree, out, answers)
    known = report.read(answers)
    for number, one in enumerate(left):
        if not one["swap"] or known[one["key"]]["verdict"] in {"survived", "not swapped"}:
            with answers.open("a") as file:
                file.write(json.dumps(alone(one, tree, number)) + "\n")


if __name__ == "__main__":
    sys.exit(main())
