"""The rows of this room, one noun a file."""
