"""Benchmarks: imports, losses against the forms they equal, training against Keras.

Run them from the root of a clone with `make bench`, or

    uv run --group benchmarks python -m benchmarks [--only imports|losses|training] [--quick]

What is measured, how, and what came out is in README.md beside this file.
"""
