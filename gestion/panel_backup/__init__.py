"""Backup and restore of the panel itself: one archive with its database and its secrets."""
