"""The work that jobs run for this room."""

from jobs.works import expect, register
from wizards.declare import Refused
from wizards.engine import WORK, carry_on
from wizards.trouble import Broken

expect(Refused, Broken)
register(WORK, safe_to_repeat=True)(carry_on)
