"""The pages of Git hooks, and the hook itself."""
