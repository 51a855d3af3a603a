"""Tries mutants, each in a fork of a pytest that has everything imported and collected: a pytest plugin.

The fork puts the mutant's code into the functions that are there already, runs the tests that see the changed line, and
dies. A test that fails is tried once without the mutant: one that fails then too proves nothing and is left out.
"""

import contextlib
import gc
import json
import os
import shutil
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from django.db import connections

AT_LEAST = 30.0  # seconds until a mutant that hangs is given up, and
AS_LONG = 6.0  # how many times longer than without it its tests may take
STEP = 0.01


class Trials:
    """What a run of this plugin knows: the tests, the functions of the chosen files, the database as it was."""

    def __init__(self, session: pytest.Session) -> None:
        self.items = {item.nodeid: item for item in session.items}
        self.sound: set[str] = set()
        self.unsound: set[str] = set()
        self.answer = Path(os.environ["MUTANTS_ANSWERS"]).with_suffix(".one")
        self.state = session._setupstate
        first = next(item for item in session.items if "db" in getattr(item, "fixturenames", ()))
        _run(first, self._other(first))  # makes the database
        connections.close_all()
        self.database = Path(str(connections["default"].settings_dict["NAME"]))
        shutil.copyfile(self.database, self.answer.with_suffix(".sqlite3"))
        self.functions: dict[str, list[FunctionType]] = defaultdict(list)
        for thing in gc.get_objects():
            if type(thing) is FunctionType:  # isinstance would ask lazy objects, which may raise
                self.functions[thing.__code__.co_filename].append(thing)

    def verdict(self, mutant: dict[str, Any]) -> dict[str, Any]:
        """Try a mutant: "caught", "survived", "timed out" or "not swapped"; and by what it was caught."""
        while True:
            tests = [test for test in mutant["tests"] if test in self.items and test not in self.unsound]
            found = self._forked(tests, mutant)
            test = str(found.get("by"))
            if found["verdict"] != "caught" or test in self.sound:
                return found
            if self._forked([test], {**mutant, "source": None})["verdict"] == "survived":
                self.sound.add(test)
                return found
            self.unsound.add(test)

    def _forked(self, tests: list[str], mutant: dict[str, Any]) -> dict[str, Any]:
        self.answer.unlink(missing_ok=True)
        for ending in ("-wal", "-shm"):
            Path(f"{self.database}{ending}").unlink(missing_ok=True)
        shutil.copyfile(self.answer.with_suffix(".sqlite3"), self.database)
        child = os.fork()
        if child == 0:
            self._child(tests, mutant)
        return self._awaited(child, AT_LEAST + AS_LONG * mutant["seconds"])

    def _child(self, tests: list[str], mutant: dict[str, Any]) -> None:
        try:
            os.setpgid(0, 0)
            found = {"verdict": "not swapped"}
            if mutant["source"] is None or self._swap(str(Path.cwd() / mutant["name"]), mutant["source"]):
                found = self._judge(tests)
            self.answer.write_text(json.dumps(found))
        except BaseException as error:  # noqa: BLE001 - a mutant may raise anything, and nothing may leave the fork
            self.answer.write_text(
                json.dumps({"verdict": "caught", "by": tests[0], "how": repr(error)[:200]})
            )
        finally:
            os._exit(0)

    def _judge(self, tests: list[str]) -> dict[str, str]:
        self.state.teardown_exact(self.items[tests[0]])
        for test, following in zip(tests, [*tests[1:], None], strict=True):
            item = self.items[test]
            for report in _run(item, self.items[following] if following else self._other(item)):
                if report.failed:
                    words = str(report.longrepr).strip().splitlines()
                    return {"verdict": "caught", "by": test, "how": words[-1][:200] if words else ""}
        return {"verdict": "survived"}

    def _other(self, item: pytest.Item) -> pytest.Item:
        return next(other for other in self.items.values() if other is not item)

    def _swap(self, path: str, source: str) -> bool:
        """Put the mutant's code into the functions that were made of the right code."""
        codes: dict[str, list[CodeType]] = defaultdict(list)
        for code in _codes(compile(source, path, "exec")):
            codes[code.co_qualname].append(code)
        swapped = False
        for function in self.functions[path]:
            old = function.__code__
            new = min(
                codes[old.co_qualname],
                key=lambda code: abs(code.co_firstlineno - old.co_firstlineno),
                default=None,
            )
            if new is None or new.co_freevars != old.co_freevars:
                return False
            function.__code__ = new
            swapped = True
        return swapped

    def _awaited(self, child: int, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        ended = False
        while not ended and time.monotonic() < until:
            time.sleep(STEP)
            ended = os.waitpid(child, os.WNOHANG)[0] == child
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what the tests started, too
        if not ended:
            os.waitpid(child, 0)
            return {"verdict": "timed out"}
        if not self.answer.exists():
            return {"verdict": "caught", "by": "", "how": "the process died"}
        return json.loads(self.answer.read_text())


def _run(item: pytest.Item, nextitem: pytest.Item) -> list[pytest.TestReport]:
    """Run one test; whatever its session shares stays for the next one."""
    return runtestprotocol(item, log=False, nextitem=nextitem)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield from _codes(part)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Try mutants instead of running the tests."""
    # An example that fails is enough: the smallest one is not looked for.
    hypothesis.settings.register_profile(
        "mutants",
        hypothesis.settings.get_profile("ci"),
        phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    )
    hypothesis.settings.load_profile("mutants")
    trials = Trials(session)
    with Path(os.environ["MUTANTS_ANSWERS"]).open("a") as answers:
        for mutant in json.loads(Path(os.environ["MUTANTS_TRIED"]).read_text()):
            began = time.monotonic()
            found = trials.verdict(mutant)
            took = round(time.monotonic() - began, 2)
            answers.write(json.dumps({"key": mutant["key"], "took": took, **found}) + "\n")
            answers.flush()
    return True
