"""The encoder for the columns of a table, by their kinds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.cli.columns import CATEGORIES, LEFT_OUT, NUMBERS, Decided
from mlpgrad.cli.text import missing_texts

if TYPE_CHECKING:
    from mlpgrad._core.arrays import Array
    from mlpgrad.tables import Codes, OneHot, TableEncoder
    from mlpgrad.tables.base import State
    from mlpgrad.tables.columns import Column

SHOWN = 5
FAR = 20  # standard deviations from the mean


def encoder_of(columns: dict[str, Decided], options: argparse.Namespace) -> TableEncoder:
    """Return an encoder for the columns that are used, with the default encodings.

    It takes the same texts for gaps as the command, so that all other texts are levels.
    """
    from mlpgrad.tables import OneHot, Standard, TableEncoder

    return TableEncoder(
        columns={
            name: Standard() if column.kind == NUMBERS else OneHot()
            for name, column in columns.items()
            if column.kind != LEFT_OUT
        },
        missing=missing_texts(options),
    )


def columns_of(encoder: TableEncoder | None) -> dict[str | int, Decided]:
    """The columns that an encoder needs, which was not made by these commands."""
    if encoder is None or not encoder.fitted:
        return {}
    used = {name: encoding for name, encoding, *_ in encoder.snapshot()["plan"] if encoding}
    return {
        name: Decided(NUMBERS if encoding.of_numbers else CATEGORIES)
        for name, encoding in used.items()
    }


def strange_values(encoder: TableEncoder, x: Mapping[Any, Any]) -> Iterator[str]:
    """Notes on values unlike those of the training: new categories, new gaps, far numbers."""
    from mlpgrad.datasets.fields import Fields
    from mlpgrad.tables import Codes, OneHot, Standard
    from mlpgrad.tables.frames import RawColumn
    from mlpgrad.tables.plan import read_column

    kept, fields = encoder.snapshot(), Fields(missing=encoder.missing)
    for (name, encoding, *_), states in zip(kept["plan"], kept["states"], strict=False):
        if encoding is None:
            continue
        column = read_column(RawColumn(name, np.asarray(x[name]), False), encoding, fields)
        if isinstance(encoding, (OneHot, Codes)):
            yield from _unknown_levels(column, encoding, states[0])
        if not any(state["gaps"] for state in states) and column.missing.any():
            as_what = "the median" if encoding.of_numbers else "a new category"
            yield f"column {name!r}: gaps, of which training had none, count as {as_what}" + (
                _count(column.missing)
            )
        if isinstance(encoding, Standard):
            yield from _far_numbers(column, states[0])


def _unknown_levels(column: Column, encoding: OneHot | Codes, state: State) -> Iterator[str]:
    """Notes on the categories that the encoder has no place for."""
    unseen = dict.fromkeys(encoding.unseen(column, state))
    if not unseen:
        return
    places = [place for place, level in enumerate(column.levels) if level in unseen]
    shown = ", ".join(map(repr, [*unseen][:SHOWN])) + ", ..." * (len(unseen) > SHOWN)
    were = "was" if len(unseen) == 1 else "were"
    rare = ", or in too few rows" if state["rare"] else ""
    count = _count(np.isin(column.codes, places))
    yield f"column {column.name!r}: {shown} {were} not in training{rare}{count}"


def _far_numbers(column: Column, state: State) -> Iterator[str]:
    """Notes on numbers that are far from those of the training, as in another unit."""
    mean, deviation = state["mean"], state["deviation"]
    with np.errstate(invalid="ignore", over="ignore"):
        far = np.abs(column.numbers - mean) > FAR * deviation
    if deviation and far.any():
        number, usual = column.numbers[far.argmax()], f"{mean:.4g} +- {deviation:.4g}"
        yield (
            f"column {column.name!r}: {number:g} is far from the numbers in training, {usual} "
            f"(mean and standard deviation); is it in the same unit?{_count(far)}"
        )


def _count(rows: Array) -> str:
    """Return how many rows are meant: ` (3 of 10 rows)`."""
    of = len(rows)
    return f" ({int(rows.sum()):,} of {of:,} row{'s' * (of > 1)})"
