"""The works that jobs run: each room registers its functions here, in its `tasks.py`.

A work is a function `work(run, **args)`; its args are ids and other small JSON values, never secrets.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from jobs.models import Job

WorkFunction = Callable[..., Any]
Function = TypeVar("Function", bound=WorkFunction)
MayRunAgain = Callable[[Any, "Job"], bool]
Touches = Callable[..., Iterable[int]] | str

NOTHING = "nothing"  # touches no server: a mail, a test; for who asked, and admins


LONGEST_WAIT = 3600.0  # seconds between two tries
GROWTH = 1.5


@dataclass(frozen=True)
class Retry:
    """Try again after an error the work lists: after `every` seconds, then longer, for `until_hours` hours.

    By default it begins and ends as the seed has it (002: every 5 minutes, for 24 hours). Waits grow by half
    each time up to an hour, and are moved by up to a tenth so that many jobs do not come back at once.
    """

    every: float = 300.0
    until_hours: float = 24.0

    def wait(self, attempt: int, chance: Callable[[], float] = random.random) -> float:
        """Seconds to wait after this attempt (the first is 1); `chance` gives 0 to 1."""
        longest = max(self.every, LONGEST_WAIT)
        grown: float = self.every * GROWTH ** min(attempt - 1, 64)
        return min(longest, grown) * (0.9 + 0.2 * chance())


@dataclass(frozen=True)
class Work:
    """A registered work and what its author says about it."""

    name: str
    function: WorkFunction
    safe_to_repeat: bool
    retry_on: tuple[type[BaseException], ...]
    again: MayRunAgain | None
    touches: Touches | None = None
    begun: Callable[..., bool] | None = None
    by_rows: bool = False


_works: dict[str, Work] = {}
_expected: list[type[BaseException]] = []


class UnknownWorkError(LookupError):
    """No room has registered this work: the job is of an older or newer panel."""


def register(
    name: str,
    *,
    safe_to_repeat: bool = False,
    retry_on: tuple[type[BaseException], ...] = (),
    again: MayRunAgain | bool = False,
    touches: Touches | None = None,
    begun: Callable[..., bool] | None = None,
    by_rows: bool = False,
) -> Callable[[Function], Function]:
    """Register the decorated function as the work `name`, such as "servers.check".

    `safe_to_repeat`: running it twice, or half and then again, does no harm; a job whose worker died is then
    run again, and a Retry is allowed for the errors in `retry_on`. `again`: whether a person may run an ended
    job again from its page: True for admins, or a function of (user, job).

    `touches`: a function of the args that gives the primary keys of the servers whose owners may see, ask for and
    stop such a job, all of them; or NOTHING. Without it, only admins may. Whether those who asked still may is asked
    anew before a worker begins, unless `begun`, a function of the args, says that the work is under way somewhere
    already and is only followed; and unless it is `by_rows`: then it brings about what the rows say, which is the
    panel's own duty whoever changed them.
    """

    def keep(function: Function) -> Function:
        if name in _works and _works[name].function.__qualname__ != function.__qualname__:
            raise ValueError(f"Two works are called {name}.")
        allowed = _admins if again is True else again or None
        _works[name] = Work(name, function, safe_to_repeat, retry_on, allowed, touches, begun, by_rows)
        return function

    return keep


def _admins(user: Any, _job: "Job") -> bool:
    return bool(user.is_admin)


def get(name: str) -> Work:
    """The work of this name; raises UnknownWorkError."""
    try:
        return _works[name]
    except KeyError:
        raise UnknownWorkError(name) from None


def expect(*errors: type[BaseException]) -> None:
    """Declare errors whose text is a sentence made for the user; all others are faults of the panel."""
    _expected.extend(error for error in errors if error not in _expected)


def is_expected(error: BaseException) -> bool:
    """Whether the error's text is made for the user."""
    return isinstance(error, tuple(_expected))


def may_run_again(user: Any, job: "Job") -> bool:
    """Whether this user may run this ended job again."""
    work = _works.get(job.work)
    return bool(job.ended and work and work.again and work.again(user, job))
