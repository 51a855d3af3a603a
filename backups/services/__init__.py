"""What a user can do in this room, by noun."""
