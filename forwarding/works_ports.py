"""The works of forwarded ports."""
