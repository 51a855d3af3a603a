"""Git hosts tell the panel of a push, and it pulls the repository."""
