"""`make soak`: the lab and browser tests again and again, each round in another order, to find what fails now and then.

Each round ends with the fuzz tests on new examples (Hypothesis' profile `long`), as many as begin in some minutes. A
failure ends nothing. At the end it says of each test that failed in how many rounds it did, with their seeds.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
LAB = ["-n", "2", "--dist", "loadfile", "-m", "lab or browser"]
BY_CHANCE = ["-p", "no:tests.schedule", "--no-loadscope-reorder"]
"""Neither the longest first nor those with the most tests."""

FUZZ = ["tests/fuzz", "tests/pages", "tests/gestion/test_request_limits.py"]
ENDED = {0, 1}
"""pytest's exit codes for a run that came to its end, well or with failures."""

BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
"""A busy loop that ends with whoever started it."""


@dataclass(frozen=True)
class Round:
    """One run of pytest: by which seed, which tests failed, which ran."""

    name: str
    seed: int
    ran: frozenset[str]
    failed: frozenset[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the rounds and tell what failed; 0 if nothing did, else 1."""
    options = _parser().parse_args(arguments)
    folder = options.folder / time.strftime("%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    chance = random.Random(options.seed)
    if not importlib.util.find_spec("pytest_randomly"):
        say("pytest-randomly is missing: every round has the same order")
    done: list[Round] = []
    try:
        with busy(os.cpu_count() or 1 if options.loaded else 0):
            for number in range(1, options.rounds + 1):
                seed = chance.getrandbits(32)
                done += one_round(folder, f"{number:02}", seed, options)
    except KeyboardInterrupt:
        say("interrupted: this round does not count")
    say(summary(done))
    say(f"logs: {folder}")
    return 1 if any(each.failed for each in done) or not done else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="how many (10)")
    parser.add_argument(
        "--loaded", action="store_true", help="with a busy loop for each core beside the tests"
    )
    parser.add_argument("--seed", type=int, help="the seed of the rounds' seeds, to have the same again")
    parser.add_argument(
        "--fuzz-minutes", type=float, default=5, help="begin no fuzz test after so many (5); 0: none"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "test-results" / "soak", help="where logs go")
    parser.add_argument(
        "pytest", nargs="*", default=LAB, help="what pytest runs in place of the lab and browser tests"
    )
    return parser


def say(line: str) -> None:
    """One line of ours."""
    print(line, flush=True)  # noqa: T201


def one_round(folder: Path, number: str, seed: int, options: argparse.Namespace) -> Iterator[Round]:
    """The tests asked for, then the fuzz tests."""
    yield run(folder / f"{number}-tests", seed, options.pytest, {})
    if options.fuzz_minutes:
        until = time.time() + options.fuzz_minutes * 60
        fuzz = [*FUZZ, "--timeout", "0", "-p", "tests.deadline", "--hypothesis-seed", str(seed)]
        env = {"HYPOTHESIS_PROFILE": "long", "TESTS_UNTIL": str(until)}
        yield run(folder / f"{number}-fuzz", seed, fuzz, env, may_have_no_time=True)


def run(
    place: Path, seed: int, arguments: list[str], env: dict[str, str], *, may_have_no_time: bool = False
) -> Round:
    """Run pytest once in the order of this seed, with its log and results beside `place`."""
    log, results = place.with_suffix(".log"), place.with_suffix(".xml")
    argv = [
        sys.executable,
        "-m",
        "pytest",
        *arguments,
        *BY_CHANCE,
        f"--junitxml={results}",
        "-o",
        "junit_family=xunit1",
    ]
    if importlib.util.find_spec("pytest_randomly"):
        argv.append(f"--randomly-seed={seed}")
    begun = time.monotonic()
    say(f"{place.name}: seed {seed}")
    with log.open("wb") as out:
        code = subprocess.run(
            argv, env={**os.environ, **env}, stdout=out, stderr=subprocess.STDOUT, check=False
        ).returncode
    ran, failed = read(results)
    if code not in ENDED or bool(code) != bool(failed) or not (ran or may_have_no_time):
        failed |= {f"(pytest itself, exit code {code}: {log.name})"}
    say(f"{place.name}: {len(failed)} of {len(ran)} failed in {(time.monotonic() - begun) / 60:.0f} minutes")
    return Round(place.name, seed, frozenset(ran), frozenset(failed))


def read(results: Path) -> tuple[set[str], set[str]]:
    """The tests that ran and those that failed, from pytest's XML; none where there is no whole file."""
    ran, failed = set(), set()
    try:
        cases = list(ElementTree.parse(results).iter("testcase"))  # noqa: S314  (pytest's own, of a moment ago)
    except (FileNotFoundError, ElementTree.ParseError):
        cases = []
    for case in cases:
        if case.find("skipped") is not None:
            continue
        file = case.get("file", "")
        inside = case.get("classname", "").removeprefix(file.removesuffix(".py").replace("/", "."))
        test = "::".join([file, *filter(None, inside.split(".")), case.get("name", "")])
        ran.add(test)
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(test)
    return ran, failed


def summary(done: list[Round]) -> str:
    """How often each test failed, most often first, and with which seeds."""
    tests = sorted({test for each in done for test in each.failed})
    lines = [f"{len(done)} runs of pytest, {len(tests)} tests failed"]
    told = []
    for test in tests:
        failed = [each for each in done if test in each.failed]
        ran = [each for each in done if test in each.ran or test in each.failed]
        told.append((len(failed), f"{len(failed)} of {len(ran)}  {test}", failed))
    for _, line, failed in sorted(told, key=lambda one: -one[0]):
        lines += [line, f"        {', '.join(f'{each.name} seed {each.seed}' for each in failed)}"]
    return "\n".join(lines)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many busy loops beside the tests; they are ended by their process ids."""
    argv = [sys.executable, "-c", BUSY, str(os.getpid())]
    processes = [subprocess.Popen(argv) for _ in range(loops)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
