"""A real fleet of LXC hosts on this machine, for the demo and the tests. See docs/lab.md."""

from .errors import LabError, LabUnavailable
from .fleet import DEFAULT_FLEET, Fleet, HostSpec
from .host import LabHost

__all__ = ["DEFAULT_FLEET", "Fleet", "HostSpec", "LabError", "LabHost", "LabUnavailable"]
