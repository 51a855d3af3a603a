"""What templates of all rooms ask about jobs."""
