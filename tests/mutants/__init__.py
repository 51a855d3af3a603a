"""Mutation testing of what must never be wrong: `make mutants`, outside CI; how it works: docs/testing.md."""
