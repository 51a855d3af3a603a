"""Runs tests on PostgreSQL and Redis: `python -m tests.production -m services`; other arguments go to pytest too.

Where the two are not installed it says so and ends well, except under CI, where that is a failure.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

from tests import leftovers
from tests.services import MissingServiceError, postgres, redis


def main(arguments: list[str]) -> int:
    """Start both, run pytest on them, stop both; returns pytest's exit code."""
    leftovers.begin()
    try:
        return _on_services([sys.executable, "-m", "pytest", *arguments])
    finally:
        leftovers.end()


def _on_services(pytest: list[str]) -> int:
    with ExitStack() as services:
        try:
            env = {
                **os.environ,
                "DATABASE_URL": services.enter_context(postgres()),
                "REDIS_URL": services.enter_context(redis()),
            }
        except MissingServiceError as missing:
            print(f"Not tested on PostgreSQL and Redis: {missing}", file=sys.stderr)  # noqa: T201
            return 1 if os.environ.get("CI") == "true" else 0
        env.pop("CELERY_BROKER_URL", None)
        # It dies with us, for nobody would end the two services after it.
        tied = leftovers.ending_with_us(pytest, signal.SIGKILL)
        return subprocess.run(tied, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
