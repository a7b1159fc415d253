"""Whether a target names classes or is a quantity, and why."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.errors import CommandError
from mlpgrad.cli.tables import Source

MOST_CLASSES = 20  # more different whole numbers than this are a quantity
SEVERAL = 3  # rows of a class: one to train on, one to validate and one to test


class Kind(NamedTuple):
    """The target as the network takes it."""

    y: Array
    """Class indices, or numbers."""
    classes: tuple[str, ...]
    """The name of each class; none for a quantity."""
    reason: str


def kind_of(source: Source, task: str) -> Kind:
    """The kind of the target, which `task` names or its values show.

    Text names classes and never becomes a quantity. Whole numbers are classes where there are
    few, and each has several rows, or where they are labels of images; all other numbers are a
    quantity.
    """
    if source.classes is not None:
        return _words(source, source.classes, task)
    values, indices, counts = np.unique(source.y, return_inverse=True, return_counts=True)
    if len(values) < 2:
        raise CommandError(f"the target expects two or more different values, got {values[0]} only")
    why_quantity = "" if source.labels else _why_quantity(values, counts)
    if task == "regression" or (task == "auto" and why_quantity):
        reason = why_quantity if task == "auto" else "--task regression"
        return Kind(source.y.astype(float), (), reason)
    if len(values) * SEVERAL > len(indices):
        raise ValueError(
            f"{source.target!r} has {len(values)} different values in {len(indices)} rows, too "
            f"few rows to learn each as a class; use --task regression"
        )
    names = tuple(f"{value:g}" if values.dtype.kind == "f" else str(value) for value in values)
    reason = f"{len(values)} different whole numbers, each in {counts.min()} or more rows"
    return Kind(indices, names, reason if task == "auto" else "--task classification")


def _why_quantity(values: Array, counts: Array) -> str:
    """Why these numbers are a quantity; nothing if they may be classes."""
    if values.dtype.kind == "f" and (values != np.floor(values)).any():
        return "the target has fractions"
    if len(values) > MOST_CLASSES:
        return f"{len(values)} different values are too many to be classes"
    rare = int((counts < SEVERAL).sum())
    if rare:
        return f"{rare} of {len(values)} different values have fewer than {SEVERAL} rows"
    return ""


def _words(source: Source, classes: tuple[str, ...], task: str) -> Kind:
    counts = np.bincount(source.y)
    if task == "regression":
        raise ValueError(
            f"{source.place(0)}: --task regression expects a number, got {classes[source.y[0]]!r}; "
            f"write the target as numbers, or use --task classification"
        )
    if len(classes) < 2:
        raise CommandError(f"the target expects two or more classes, got {classes[0]!r} only")
    if len(classes) * SEVERAL > len(source.y):
        row = int(np.argmin(counts[source.y]))
        raise ValueError(
            f"{source.place(row)}: {classes[source.y[row]]!r} is one of {len(classes)} different "
            f"texts in {len(source.y)} rows, too few rows to learn each as a class; write "
            f"the target as numbers, or name another column with --target"
        )
    return Kind(source.y, classes, "the target is text")
