"""The rows of this room."""

from samba.models.looks import FolderLook
from samba.models.returns import FolderReturn
from samba.models.shares import Share

__all__ = ["FolderLook", "FolderReturn", "Share"]
