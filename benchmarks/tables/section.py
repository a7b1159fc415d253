"""What every section of the page has: a table of texts, and how to run it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np


class Options(NamedTuple):
    """What a section is told."""

    data: Path
    """The folder with the data sets."""
    splits: int | None
    """Official splits of each set, all by default."""
    seeds: int
    smoke: bool
    """Whether a few seconds are enough, and the figures mean nothing."""


class Table(TypedDict):
    """A section's results."""

    title: str
    text: str
    columns: list[str]
    rows: list[list[str]]


def with_error(values: Any, digits: int) -> str:
    """A mean with its standard error."""
    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return f"{values.mean():.{digits}f}"
    error = values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


def options_from(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Options:
    """The options that were given, if the folder of the data is there."""
    if not arguments.data.is_dir():
        parser.error(f"no folder {arguments.data} with the data; pass --data")
    return Options(arguments.data, arguments.splits, arguments.seeds, arguments.smoke)
