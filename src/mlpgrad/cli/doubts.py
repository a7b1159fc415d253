"""Warnings about parts of a table that may not mean what they seem to, with advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.cli.columns import CATEGORIES, LEFT_OUT, NUMBERS, Decided
from mlpgrad.cli.target import SEVERAL, Target
from mlpgrad.cli.text import TextTable

FAR = 3.0  # at more than this many ranges from the others, a number like -999 may stand for a gap
COPIES = 0.1  # the fraction of copied test rows that causes a warning
MOST_FIELDS = 4_000_000  # larger tables are not searched for copies: each field takes some 30 bytes
SHOWN = 5


def doubts(
    table: TextTable,
    name: str,
    target: Target,
    columns: dict[str, Decided],
    x: dict[str, Any],
) -> Iterator[str]:
    """Warnings about the columns of a table and its target."""
    for column, decided in columns.items():
        if decided.kind == LEFT_OUT:
            continue
        if table.columns[column] == table.columns[name]:
            yield (
                f"column {column!r} is the same as the target in every row, and gives the answer "
                f"away: --without {column!r} leaves it out"
            )
        if decided.kind == CATEGORIES:
            texts = [t for t in table.columns[column] if not table.fields.is_missing(t)]
            yield from _spellings(texts, f"column {column!r}")
        if decided.kind == NUMBERS:
            yield from _stands_for_gaps(x[column], table, column)
    if not target.classes:
        yield from _stands_for_gaps(target.y, table, name)
        return
    yield from _spellings(list(map(str, target.classes)), f"the target {name!r}")
    labels, counts = np.unique(target.y, return_counts=True)
    rare = [str(label) for label in labels[counts < SEVERAL]]
    if rare:
        classes = f"class {_some(rare)} has" if len(rare) == 1 else f"classes {_some(rare)} have"
        yield f"{classes} fewer than {SEVERAL} rows, too few to learn from and to test on"


def _spellings(texts: Sequence[str], what: str) -> Iterator[str]:
    """Warn about texts that differ in upper and lower case only."""
    spellings: dict[str, list[str]] = {}
    for text in sorted(set(texts)):
        spellings.setdefault(text.casefold(), []).append(text)
    if several := next((same for same in spellings.values() if len(same) > 1), None):
        yield (
            f"{what}: {_some(several)} differ in upper and lower case only, and count as "
            f"different; write them alike if they mean the same"
        )


def _stands_for_gaps(numbers: Array, table: TextTable, name: str) -> Iterator[str]:
    """Warn about a number such as -999, in several rows, far from all others."""
    values, counts = np.unique(numbers[np.isfinite(numbers)], return_counts=True)
    for place, neighbour in ((0, 1), (-1, -2)):
        if len(values) < 4:
            return
        odd, others = values[place], np.delete(values, place)
        gap = abs(odd - values[neighbour])
        digits = f"{abs(odd):.0f}"
        nines = set(digits) == {"9"} and len(digits) > 1
        if counts[place] > 1 and nines and odd.is_integer() and gap > FAR * np.ptp(others):
            row = int(np.argmax(numbers == odd))
            text = table.columns[name][row]
            yield (
                f"column {name!r}: {text} is in {counts[place]} rows, and the others are from "
                f"{others[0]:g} to {others[-1]:g}; if it stands for a gap, pass "
                f"--missing {table.gaps_and(text)!r}"
            )
            return


def copies(x: dict[str, Any], y: Array, rows: dict[str, Array]) -> Iterator[str]:
    """Warn about test rows that equal training rows, target included.

    Large tables are not searched, nor are those without a column that distinguishes rows: in a
    table of a few categories, equal rows are usual.
    """
    if len(y) * (len(x) + 1) > MOST_FIELDS:
        return
    columns = [[None if v != v else v for v in column.tolist()] for column in (*x.values(), y)]
    if max(len(set(column)) for column in columns) ** 2 <= len(y):
        return
    keys = list(zip(*columns, strict=True))
    known = Counter(keys[row] for row in rows["train"])
    test = rows["test"]
    found = sum(keys[row] in known for row in test)
    if found > COPIES * len(test):
        yield (
            f"{found} of the {len(test)} rows to test on are the same as rows to train on, target "
            f"included; if they are copies, the figures are too good for new rows: leave the "
            f"copies out of the file"
        )


def _some(texts: Sequence[str]) -> str:
    return ", ".join(map(repr, texts[:SHOWN])) + (", ..." * (len(texts) > SHOWN))
