"""The host dies, or a tool fails, at every single step of an apply: the old state or the new one, never between."""

import shutil
from collections.abc import Iterator

import pytest

from hosts import engine
from hosts.errors import HostError, Interrupted, RollbackFailed
from hosts.memory import MemoryHost
from hosts.state import STAGED, Absent, Command, File, Link, State
from tests.waiting import wait_for

TOOLS = (
    "mkdir",
    "head",
    "chmod",
    "ln",
    "sync",
    "mv",
    "rm",
    "rmdir",
    "timeout",
    "cp",
    "cat",
    "stat",
    "sha256sum",
)
OLD = State("k", (File("/etc/a/one", b"old\n"), File("/etc/gone", b"gone\n"), Link("/etc/link", "one")))
NEW = State(
    "k",
    (
        File("/etc/a/one", b"new\n", 0o755),
        Link("/etc/link", "two"),
        Absent("/etc/gone"),
        File("/etc/new/folder/two", b"two\n"),
        File("/etc/theirs", b"ours\n"),
    ),
    checks=(Command(("check", STAGED("/etc/a/one"))),),
    activate=(Command(("activate",)),),
    proofs=(Command(("prove",)),),
)
COUNTER = """#!/bin/sh
n=$(command -p cat "$MEMORY_HOST/calls") && n=$((n + 1)) && echo $n >"$MEMORY_HOST/calls"
[ $n != {at} ] || {{ {fault}; }}
[ {name} != timeout ] || exec sh "$MEMORY_HOST/bin/timeout-answers" "$@"
{real} "$@"
code=$?
[ $n != {at} ] || {{ {after}; }}
exit $code
"""


def host_with_fault(at: int, fault: str, after: str = ":") -> MemoryHost:
    """A host in the old state on which the call of a tool with number `at` goes wrong."""
    host = MemoryHost(files={"/etc/theirs": b"theirs\n"})
    engine.apply(host, engine.plan(host, OLD))
    binaries = host.root.parent / "bin"
    (binaries / "timeout").rename(binaries / "timeout-answers")
    (host.root.parent / "calls").write_text("0\n")
    for name in TOOLS:
        host.program(
            name, COUNTER.format(at=at, fault=fault, after=after, name=name, real=shutil.which(name))
        )
    return host


def no_more_faults(host: MemoryHost) -> None:
    (host.root.parent / "calls").write_text("1000\n")


def tree(host: MemoryHost) -> dict[str, tuple[int, bytes]]:
    """Every path outside Gestion's own folder and what it holds."""
    return {
        str(path.relative_to(host.root)): (
            path.lstat().st_mode,
            str(path.readlink()).encode()
            if path.is_symlink()
            else b""
            if path.is_dir()
            else path.read_bytes(),
        )
        for path in host.root.rglob("*")
        if not path.relative_to(host.root).is_relative_to("var/lib/gestion")
    }


def outcomes() -> tuple[dict, dict]:
    """How the host looks in the old state and in the new one."""
    host = host_with_fault(0, ":")
    old = tree(host)
    engine.apply(host, engine.plan(host, NEW), adopt=True)
    return old, tree(host)


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    return outcomes()


def until_no_fault(
    fault: str, after: str = ":"
) -> Iterator[tuple[MemoryHost, engine.Plan, HostError | None, int]]:
    """Apply the new state once for each call of a tool that can go wrong."""
    for at in range(1, 200):
        host = host_with_fault(0, fault, after)
        plan = engine.plan(host, NEW)
        for name in TOOLS:
            host.program(
                name, COUNTER.format(at=at, fault=fault, after=after, name=name, real=shutil.which(name))
            )
        (host.root.parent / "calls").write_text("0\n")
        error = None
        try:
            engine.apply(host, plan, adopt=True)
        except HostError as caught:
            error = caught
        calls = int((host.root.parent / "calls").read_text())
        if calls < at:
            assert error is None
            assert at > 15
            return
        no_more_faults(host)
        yield host, plan, error, at


def recovered(host: MemoryHost) -> dict[str, engine.Recovered]:
    """What the next look finds, by its run, once every process of a run that was killed is gone."""
    found: dict[str, engine.Recovered] = {}

    def nobody_works() -> bool:
        found.update({one.run: one for one in engine.recover(host)})
        return all(one.state != "running" for one in found.values())

    wait_for(nobody_works, name="the end of what was killed")
    return found


@pytest.mark.parametrize(
    ("fault", "after"), [("kill -9 0", ":"), (":", "kill -9 0")], ids=["before", "after"]
)
def test_killed_before_or_after_any_tool_the_next_look_finishes_it_and_says_which(
    both: tuple[dict, dict], fault: str, after: str
) -> None:
    old, new = both
    ends = set()
    for host, plan, error, at in until_no_fault(fault, after):
        assert error is None or isinstance(error, Interrupted), (at, error)
        found = recovered(host)
        state = found[plan.run].state if plan.run in found else "old"
        assert tree(host) == {"old": old, "new": new}[state], at
        assert engine.recover(host)[-1].now is False
        assert list(host.path("/var/lib/gestion/runs").iterdir()) == [], at
        assert engine.plan(host, NEW).empty == (state == "new"), at
        ends.add(state)
    assert ends == {"old", "new"}


def test_when_any_tool_fails_the_error_says_the_state_that_is_there(both: tuple[dict, dict]) -> None:
    old, new = both
    for host, _plan, error, at in until_no_fault("echo No such luck >&2; exit 1"):
        if error is None:
            assert tree(host) == new, at
        else:
            assert not isinstance(error, Interrupted | RollbackFailed), (at, error)
            assert tree(host) == old, (at, error)
        assert list(host.path("/var/lib/gestion/runs").iterdir()) == [], (at, error)


def test_a_job_that_does_not_come_whole_leaves_the_old_state(both: tuple[dict, dict]) -> None:
    old, _new = both

    class Torn(MemoryHost):
        share = 1.0

        def run(self, argv, *, stdin=b"", **more):
            return super().run(argv, stdin=stdin[: int(len(stdin) * self.share)], **more)

    for share in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.999):
        host = Torn(files={"/etc/theirs": b"theirs\n"})
        engine.apply(host, engine.plan(host, OLD))
        plan = engine.plan(host, NEW)
        host.share = share
        with pytest.raises(HostError):
            engine.apply(host, plan, adopt=True)
        host.share = 1.0
        assert not engine.plan(host, NEW).empty
        assert tree(host) == old, share
