"""Tests of deploy/: what a panel in production stands on."""
