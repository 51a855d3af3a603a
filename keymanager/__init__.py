"""SSH keys, groups, key sets, the endpoint that hosts curl, and their update script."""
