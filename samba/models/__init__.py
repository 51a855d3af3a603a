"""The rows of this room."""

from samba.models.shares import Share

__all__ = ["Share"]
