"""Readers of benchmark data that lie outside the repository, and generated problems."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

UCI = {
    "yacht": "yacht",
    "energy": "energy",
    "power": "power-plant",
    "protein": "protein-tertiary-structure",
    "wine": "wine-quality-red",
}
"""The names of the UCI sets, with the names of their files."""

PROBEN1 = ("cancer1", "card1", "diabetes1", "gene1", "glass1", "heart1", "horse1", "soybean1",
           "thyroid1")  # fmt: skip


class Uci(NamedTuple):
    """A regression set with its official splits."""

    x: Any
    y: Any
    """`(n, 1)`, in the unit of the target."""
    test: Any
    """Masks of the test rows, `(splits, n)`."""


def uci(folder: Path, name: str) -> Uci:
    """A set of Hernandez-Lobato and Adams 2015, with the splits of Gal and Ghahramani 2016."""
    with np.load(folder / f"uci-{UCI[name]}.npz") as file:
        mask = np.unpackbits(file["test_mask"], axis=1, count=int(file["n_rows"])).astype(bool)
        return Uci(file["X"].astype(float), file["y"].astype(float).reshape(-1, 1), mask)


class Rows(NamedTuple):
    """Inputs and classes."""

    x: Any
    y: Any


class Proben1(NamedTuple):
    """A classification set in its fixed split."""

    train: Rows
    validation: Rows
    test: Rows
    classes: int


def proben1(folder: Path, name: str) -> Proben1:
    """A set of Prechelt 1994, "PROBEN1: a set of neural network benchmark problems and rules".

    Inputs are encoded as in the report; the header gives the sizes of the split, whose rows follow
    in the order train, validation, test.
    """
    with gzip.open(folder / "proben1" / f"{name}.dt.gz", "rt") as file:
        header = dict(line.strip().split("=") for line in itertools.islice(file, 7))
        numbers = np.loadtxt(file)
    size = {key: int(value) for key, value in header.items()}
    inputs = size["bool_in"] + size["real_in"]
    x, y = numbers[:, :inputs], numbers[:, inputs:].argmax(axis=1)
    ends = np.cumsum([size[f"{part}_examples"] for part in ("training", "validation", "test")])
    parts = [Rows(x[end - n : end], y[end - n : end])
             for end, n in zip(ends, np.diff(ends, prepend=0), strict=True)]  # fmt: skip
    return Proben1(*parts, classes=size["bool_out"] + size["real_out"])


def spirals() -> Rows:
    """The two spirals of Lang and Witbrock 1988: 97 points each, targets 1 and -1."""
    i = np.arange(97)
    angle, radius = i * np.pi / 16, 6.5 * (104 - i) / 104
    x = np.column_stack([radius * np.sin(angle), radius * np.cos(angle)])
    return Rows(np.vstack([x, -x]), np.repeat([[1.0], [-1.0]], 97, axis=0))


def standardized(train: Any, *others: Any) -> list[Any]:
    """Columns with mean 0 and deviation 1 over the training rows; constant columns become 0."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    return [(part - mean) / deviation for part in (train, *others)]
