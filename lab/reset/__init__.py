"""Setting the hosts of a lab back to what they were, between tests. See docs/lab.md."""

from .ground import Ground

__all__ = ["Ground"]
