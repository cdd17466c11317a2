"""The command line: `jaxae train`, `jaxae evaluate RUN`. It parses and calls; it has no logic."""

from jaxae.cli._main import main as main
