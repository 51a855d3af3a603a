"""Benchmarks: each a script with --quick and --json FILE; `make bench` runs all."""
