"""The rows of this room, by noun."""
