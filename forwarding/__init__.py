"""Ports and hostnames lead to the right container."""
