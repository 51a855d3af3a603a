"""The work that jobs run for this room."""

from githooks.git import PullFailed
from githooks.pulling import pull
from githooks.services import WORK
from jobs.works import expect, register

expect(PullFailed)
register(WORK, safe_to_repeat=True, again=True)(pull)
