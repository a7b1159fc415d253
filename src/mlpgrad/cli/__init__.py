"""The command line: `mlpgrad train digits`."""

from mlpgrad.cli.command import main

__all__ = ["main"]
