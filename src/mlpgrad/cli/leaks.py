"""Columns that are the target in another form, or are known only once the target is."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.target import Target
from mlpgrad.cli.text import TextTable
from mlpgrad.datasets.table import SEVERAL

SAME = 1e-7  # at less than this below 1, a correlation is that of one quantity in two units
CLOSE = 0.01  # at less than this below 1, it may be that of one quantity and its rounded values
ROUNDED = 1 + 1e-6  # of a step: the range of the errors of rounding or cutting off
NEARLY = 0.95  # a larger fraction of equal values is a copy, of which some have been changed
FEWEST = 20  # rows, and steps of rounding, that show more than chance
MOSTLY = 0.9  # of the rows of a class, and of those with a value: more is no chance
MOST_LEVELS = 20
LEAST_ROWS = 5  # of each value of a column, on average: fewer may tell the class by chance
GIVEN = "and gives the answer away"
PERHAPS = "and gives the answer away if it was made from the target or is known only later"


def leaks(table: TextTable, column: str, name: str, values: Array, target: Target) -> str:
    """Return in which way a column gives the target away; empty if it does not.

    Rows in which the column has a gap say nothing; the others must be several.
    """
    numeric = values.dtype.kind == "f"
    there = np.isfinite(values) if numeric else np.array([value is not None for value in values])
    known = np.flatnonzero(there)
    where = "" if there.all() else f" in the {len(known):,} rows that have it"
    if len(known) >= min(FEWEST, len(values)) and (
        told := _copy(table, column, name, known, where, values, target)
    ):
        return f"{told}, {GIVEN}"
    if not target.classes:
        return ""
    told = _filled(there, target)
    if not told and len(known) >= FEWEST:
        found = values[known] if numeric else np.unique(values[known], return_inverse=True)[1]
        told = _tells_class(found, target.y[known], numeric)
        told += where * bool(told)
    return f"{told}, {PERHAPS}" if told else ""


def _copy(
    table: TextTable,
    column: str,
    name: str,
    known: Array,
    where: str,
    values: Array,
    target: Target,
) -> str:
    """Return in which way a column is the target in another form; empty if it is not."""
    texts, answers = table.columns[column], table.columns[name]
    first = texts[known[0]]
    if all(texts[row] == answers[row] for row in known):
        constant = all(texts[row] == first for row in known)
        return "" if constant else f"is the same as the target{where or ' in every row'}"
    if values.dtype.kind == "f" and not target.classes:
        told = _linear(values[known], target.y[known])
        return told + where * (told != "" and not told.endswith("rows"))
    several = MOST_LEVELS * max(len(target.classes), 1)
    for rows in (known[:several], known):  # few rows show most others
        pairs = {(texts[row], answers[row]) for row in rows}
        if not len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}):
            return ""
    kind = "class" if target.classes else "value"
    return f"has its own name for each {kind} of the target{where}" if len(pairs) > 1 else ""


def _tells_class(column: Array, labels: Array, numeric: bool) -> str:
    """Return whether each value of a column, or each interval of numbers, has one class."""
    _, y, counts = np.unique(labels, return_inverse=True, return_counts=True)
    levels, codes = np.unique(column, return_inverse=True)
    pairs = len(np.unique(codes * len(counts) + y))
    if len(counts) < 2 or counts.min() < SEVERAL or pairs > len(levels):
        return ""
    intervals = 1 + np.count_nonzero(np.diff(y[np.argsort(column)]))
    few = len(levels) * LEAST_ROWS <= len(y) or (numeric and intervals == len(counts))
    return "alone tells the class in every row" if few else ""


def _filled(there: Array, target: Target) -> str:
    """Return whether a column has a value, or a gap, where the target is a certain class."""
    if min(there.sum(), (~there).sum()) < FEWEST:
        return ""
    for marked in (there, ~there):
        for label in target.classes:
            of = target.y == label
            both = (marked & of).sum()
            if both > MOSTLY * max(marked.sum(), of.sum()):
                shares = [f"{100 * there[rows].mean():.0f} %" for rows in (of, ~of)]
                return (
                    f"is filled in for {shares[0]} of the rows of class {label} and for "
                    f"{shares[1]} of the others"
                )
    return ""


def _linear(column: Array, y: Array) -> str:
    """Return how a column of numbers is a linear function of the target; empty if it is not.

    Rounded numbers are copies in the same unit or, for instance, in thousands; other linear
    functions up to rounding may be laws, such as a price that is twice the amount.
    """
    with np.errstate(all="ignore"):
        a, b = (each - each.mean() for each in (column, y))
        open_ = 1 - abs(float(a @ b)) / np.sqrt(float(a @ a) * float(b @ b))
        if open_ < SAME:
            return "is a linear function of the target"
        if np.mean(column == y) > NEARLY and _equal_where_rare(column, y):
            return f"is the same as the target in {int(np.sum(column == y)):,} of {len(y):,} rows"
        if not open_ < CLOSE or len(y) < FEWEST:
            return ""
        scale = 10.0 ** np.rint(np.log10(abs(float(a @ b)) / float(b @ b)))
        step = _step(column) + scale * _step(y)
        errors = column - scale * y
        rounded = np.ptp(errors) < ROUNDED * step and abs(np.median(errors)) < step
    return "is the target, rounded" if rounded and np.ptp(column) > FEWEST * step else ""


def _equal_where_rare(column: Array, y: Array) -> bool:
    """Return whether a column equals the target also where that is not its most frequent value."""
    values, counts = np.unique(y, return_counts=True)
    rare = y != values[counts.argmax()]
    return bool(rare.sum() >= FEWEST and np.mean(column[rare] == y[rare]) > NEARLY)


def _step(numbers: Array) -> float:
    """Return the power of ten of which all numbers are multiples; 0 if they have many digits."""
    steps = (10.0**power for power in range(6, -7, -1))
    return next((s for s in steps if np.allclose(np.rint(numbers / s) * s, numbers, 1e-12, 0)), 0.0)
