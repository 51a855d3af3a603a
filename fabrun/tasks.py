"""The work that jobs run for this room."""

from fabrun.running import ScriptFailed, run_part
from fabrun.services import WORK
from jobs.works import expect, register

expect(ScriptFailed)
register(WORK)(run_part)
