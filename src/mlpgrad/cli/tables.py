"""Reading the file that the user names: a table, or images with their labels."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.errors import CommandError
from mlpgrad.datasets.dialect import Dialect
from mlpgrad.datasets.fields import Fields
from mlpgrad.datasets.files import csv_dialect, load_idx, read_csv

NAMED = {"tab": "\t", r"\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
_ADVICE = re.compile(r"\bheader=False\b|\b(delimiter|encoding|decimal|missing)=('?)")


class Source(NamedTuple):
    """Inputs and target as they are read, before it is known whether the target is a class."""

    x: Array
    y: Array
    target: str
    """The name of the target's column."""
    classes: tuple[str, ...] | None = None
    """The texts that `y` counts, where the target is text."""
    labels: bool = False
    """Whether the target is known to be labels."""
    path: str = ""
    texts: dict[int, str] | None = None
    """The target's text by line, for a table."""
    note: str = ""
    """How the file was read."""

    def place(self, row: int) -> str:
        """Where the target of a row is written."""
        line = list(self.texts or ())[row]
        return f"{self.path}, line {line}, column {self.target!r}"


def read_images(path: Path, labels: Path | None) -> Source:
    """Images and labels in MNIST's format; pixels keep the range of the file."""
    if labels is None:
        raise CommandError(f"{path.name} holds images; name the file of labels with --labels")
    images, y = load_idx(path), load_idx(labels)
    x = images.reshape(len(images), -1)
    x = x if x.dtype.kind == "f" else x.astype(np.float32)
    return Source(x, y.astype(np.intp), "label", labels=True)


def read_table(path: Path, options: argparse.Namespace) -> Source:
    """A table of numbers, in the dialect that the options give or the file shows."""
    try:
        dialect = _dialect(path, options)
        fields = Fields(dialect.decimal, options.missing.split(","))
        target: int | str = -1 if options.target is None else options.target
        if options.no_header and re.fullmatch(r"-?\d+", str(target)):
            target = int(target)
        table, texts = read_csv(
            path, target, dialect, not options.no_header, options.encoding, fields
        )
    except ValueError as error:
        raise ValueError(as_options(str(error))) from error
    note = (
        f"read {path.name}: columns separated by {dialect.delimiter!r}, decimal sign "
        f"{dialect.decimal!r}, {'no' if options.no_header else 'a'} header; "
        f"the target is column {table.target_name!r}"
    )
    return Source(table.x, table.y, table.target_name, table.classes, False, str(path), texts, note)


def _dialect(path: Path, options: argparse.Namespace) -> Dialect:
    delimiter = NAMED.get(options.delimiter, options.delimiter)
    if delimiter is not None and len(delimiter) != 1:
        raise CommandError(
            f"--delimiter expects one character, or one of {', '.join(NAMED)}, got {delimiter!r}"
        )
    return csv_dialect(path, options.encoding, delimiter, options.decimal)


def as_options(message: str) -> str:
    """A message of `load_csv` whose advice names the options of the command line."""

    def option(found: re.Match[str]) -> str:
        if found[1] is None:
            return "--no-header"
        return f"--{found[1]} {found[2]}" if found[2] else f"--{found[1]}"

    problem, between, advice = message.rpartition("; ")
    return problem + between + _ADVICE.sub(option, advice)
