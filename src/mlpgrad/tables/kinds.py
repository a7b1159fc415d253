"""The kind of a column, recognized from its values: numbers, categories, or left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from mlpgrad.datasets.amounts import hidden_amounts
from mlpgrad.datasets.dates import DATE
from mlpgrad.datasets.fields import Fields
from mlpgrad.tables.columns import (
    Column,
    as_categories,
    as_numbers,
    decoded,
    distinct,
    is_gap,
    refuse_dates,
    refuse_text,
)
from mlpgrad.tables.frames import RawColumn

LEADING_ZERO = re.compile(r"[+-]?0\d")
EXACT = 2.0**53  # float64 holds all integers below it
SAME = "every value is the same"
TOO_LONG = (
    "in float64, which does not tell integers of more than 15 digits apart; subtract a constant"
)
CODES = "text; numbers with leading zeros are codes"
ALL_DIFFERENT = "every text is different, as in an id or a name"


class Kind(NamedTuple):
    """The kind of a column."""

    column: Column
    """The column as it was read."""
    reason: str
    """Why it has this kind, or why it is left out."""
    used: bool
    """Whether it holds information, so that it is used."""


def recognised(raw: RawColumn, fields: Fields) -> Kind:
    """Return the kind of a column; raise an error with row and column if it is not clear."""
    if raw.categorical:
        return judged(as_categories(raw, fields), "its type is categorical")
    if raw.values.dtype.kind == "b":
        return _of_numbers(raw, fields, "true or false")
    if raw.values.dtype.kind in "iufmMc":
        return _of_numbers(raw, fields, "numbers")
    found = {type(value) for value in distinct(raw) if not is_gap(value)}
    if not any(issubclass(cls, (str, bytes)) for cls in found):
        kind = "true or false" if found and found <= {bool, np.bool_} else "numbers"
        return _of_numbers(raw, fields, kind)
    _refuse_mixed(raw, found)
    reason = _kind_of_text(raw, fields)
    if reason == "text that is numbers":
        return _of_numbers(raw, fields, reason)
    return judged(as_categories(raw, fields), reason, all_different=True)


def _of_numbers(raw: RawColumn, fields: Fields, reason: str) -> Kind:
    """Return the kind of a column of numbers; it is left out if float64 merges most of them."""
    kind = judged(as_numbers(raw, fields), reason)
    values = kind.column.numbers[~kind.column.missing]
    if raw.values.dtype.kind == "f" or not values.size or np.abs(values).max() < EXACT:
        return kind
    given = (value for value in raw.counts if not is_gap(value))
    different = different_integers(value for value in given if not _stands_for_gap(value, fields))
    left = len(np.unique(values))
    if 2 * left > different:
        return kind
    same = "every value is the same" if left == 1 else f"{different} integers are {left} values"
    return Kind(kind.column, f"{same} {TOO_LONG}", used=False)


def _stands_for_gap(value: Any, fields: Fields) -> bool:
    return isinstance(value, (str, bytes)) and fields.is_missing(decoded(value))


def different_integers(values: Iterable[Any]) -> int:
    """Return the number of different integers, perhaps as text or equal as float64; else 0.

    Examples
    --------
    >>> different_integers([2**60, 2**60 + 1]), different_integers(["1", "01"])
    (2, 1)
    >>> different_integers(["1", "a"])
    0
    """
    try:
        return len({int(value) for value in values})
    except ValueError:
        return 0


def judged(column: Column, reason: str, all_different: bool = False) -> Kind:
    """Decide whether a column holds information; constants and identifiers do not."""
    if column.categorical:
        present = int((column.codes >= 0).sum())
        levels = len(column.levels)
    else:
        values = column.numbers[~column.missing]
        present = len(values)
        levels = int(present > 0) + int(present > 0 and bool((values != values[0]).any()))
    if not present:
        return Kind(column, "every value is missing", used=False)
    if levels == 1 and present == len(column.missing):
        return Kind(column, SAME, used=False)
    if all_different and levels == present and present > 2:
        return Kind(column, ALL_DIFFERENT, used=False)
    return Kind(column, reason, used=True)


def _refuse_mixed(raw: RawColumn, found: set[type]) -> None:
    """Raise ValueError for a column that mixes numbers and text."""
    others = {cls for cls in found if not issubclass(cls, (str, bytes))}
    if not others:
        return
    number = raw.row_of(lambda value: type(value) in others and not is_gap(value))
    text = raw.row_of(lambda value: isinstance(value, (str, bytes)))
    raise ValueError(
        f"column {raw.name!r} mixes text and numbers: {raw.objects[text]!r} in row {text}, "
        f"{raw.objects[number]!r} in row {number}; make all values numbers, or, if it holds "
        f"categories, write columns={{{raw.name!r}: OneHot()}}"
    )


def _kind_of_text(raw: RawColumn, fields: Fields) -> str:
    """Return why a column of text is numbers or categories; raise an error if it is ambiguous."""
    counts: Counter[str] = Counter()
    for value, count in raw.counts.items():
        if isinstance(value, (str, bytes)) and not fields.is_missing(decoded(value)):
            counts[decoded(value)] += count
    numbers = {text: n for text, n in counts.items() if fields.is_number(text)}
    if any(LEADING_ZERO.match(text) for text in numbers):
        return CODES
    if len(numbers) == len(counts):
        return "text that is numbers"
    others = counts.keys() - numbers.keys()

    def is_other(value: Any) -> bool:
        return isinstance(value, (str, bytes)) and decoded(value) in others

    dates = {text: n for text, n in counts.items() if DATE.fullmatch(text)}
    if 2 * sum(dates.values()) > sum(counts.values()):
        row = raw.row_of(lambda value: isinstance(value, (str, bytes)) and decoded(value) in dates)
        refuse_dates(raw.name, decoded(raw.objects[row]), row)
    mostly = 2 * sum(numbers.values()) > sum(counts.values())
    if mostly or hidden_amounts(counts.elements(), fields.decimal):
        row = raw.row_of(is_other)
        text = decoded(raw.objects[row])
        refuse_text(raw.name, row, text, fields, counts)
    return "text"
