"""Registers the works of this room, which lie beside their noun."""

from backups import works_plans, works_restores, works_runs

__all__ = ["works_plans", "works_restores", "works_runs"]
