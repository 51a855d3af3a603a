"""Wizards: steps that ask, then tasks that do, which can be resumed and undone."""
