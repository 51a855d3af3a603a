"""Works for the tests of jobs, registered in this process; real workers run the built-in `jobs.check`."""

import threading
from dataclasses import dataclass, field

from jobs import works
from jobs.run import Postponed, Run


class HostAwayError(Exception):
    """An error whose text is made for the user."""


@dataclass
class Bench:
    """What the works of one test did, and what they wait for."""

    runs: list[int] = field(default_factory=list)
    started: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


bench = Bench()
works.expect(HostAwayError)


@works.register("tests.note", safe_to_repeat=True)
def note(run: Run, *, number: int = 0) -> None:
    bench.runs.append(number)
    run.log(f"noted {number}")


@works.register("tests.own", safe_to_repeat=True, touches=works.NOTHING)
def own(run: Run) -> None:
    run.log("for who asked")


@works.register("tests.careful", safe_to_repeat=True, retry_on=(HostAwayError,), again=True)
def careful(run: Run) -> None:
    with run.step("Reach the host"):
        raise HostAwayError("web1 does not answer; is it switched on?")


@works.register("tests.once_only")
def once_only(run: Run) -> None:
    bench.runs.append(run.job.pk)


@works.register("tests.broken")
def broken(run: Run) -> None:
    raise ZeroDivisionError("internal words")


@works.register("tests.leaky")
def leaky(run: Run) -> None:
    run.secrets.add("fresh-secret")
    run.log("told: given-secret and fresh-secret")
    run.output("out", b"given-")
    run.output("out", b"secret in two halves\n")
    raise HostAwayError("refused given-secret")


@works.register("tests.blocking")
def blocking(run: Run) -> None:
    """Blocks as on a dead connection; only closing that ends it."""
    closed = threading.Event()
    with run.on_stop(closed.set):
        bench.started.set()
        if closed.wait(30):
            raise HostAwayError("the connection was closed")


@works.register("tests.deaf")
def deaf(run: Run) -> None:
    bench.started.set()
    bench.go_on.wait(30)
    run.log("too late")


@works.register("tests.postponed", safe_to_repeat=True)
def postponed(run: Run, *, times: int, seconds: float) -> None:
    bench.runs.append(run.job.pk)
    if len(bench.runs) <= times:
        raise Postponed(seconds)
