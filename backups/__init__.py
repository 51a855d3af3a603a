"""Backups by rsnapshot: made, watched, restored."""
