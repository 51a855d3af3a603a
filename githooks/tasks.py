"""The work that jobs run for this room."""

from githooks.pulling import PullFailed, pull
from githooks.services import WORK
from jobs.works import expect, register

expect(PullFailed)
register(WORK, safe_to_repeat=True, again=True)(pull)
