"""Commands of this room, by name."""
