"""The scripts here run where the other libraries are: they are no tests and have no doctests."""

collect_ignore_glob = ["*.py"]
