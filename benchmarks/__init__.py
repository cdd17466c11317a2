"""Benchmarks: imports, losses against the forms they equal, training against its peers.

Run them from the root of a clone with `make bench`, or

    uv run --group benchmarks python -m benchmarks [--only NAME] [--quick]

What is measured, how, and what came out is in README.md beside this file.
"""
