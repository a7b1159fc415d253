"""The encoder for the columns of a table, by their kinds."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.cli.columns import CATEGORIES, LEFT_OUT, NUMBERS, Decided
from mlpgrad.cli.text import missing_texts

if TYPE_CHECKING:
    from mlpgrad.tables import TableEncoder

SHOWN = 5


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


def unknown_levels(encoder: TableEncoder, x: Mapping[Any, Any]) -> Iterator[str]:
    """Notes on the categories in columns that the encoder has no place for."""
    from mlpgrad.datasets.fields import Fields
    from mlpgrad.tables import Codes, OneHot
    from mlpgrad.tables.columns import as_categories
    from mlpgrad.tables.frames import RawColumn

    kept, fields = encoder.snapshot(), Fields(missing=encoder.missing)
    for (name, encoding, *_), states in zip(kept["plan"], kept["states"], strict=False):
        if not isinstance(encoding, (OneHot, Codes)):
            continue
        column = as_categories(RawColumn(name, np.asarray(x[name], object), True), fields)
        unseen = dict.fromkeys(encoding.unseen(column, states[0]))
        if not unseen:
            continue
        places = [place for place, level in enumerate(column.levels) if level in unseen]
        rows, of = int(np.isin(column.codes, places).sum()), len(column.codes)
        shown = ", ".join(map(repr, [*unseen][:SHOWN])) + ", ..." * (len(unseen) > SHOWN)
        were = "was" if len(unseen) == 1 else "were"
        rare = ", or in too few rows" if states[0]["rare"] else ""
        count = f"{rows:,} of {of:,} row{'s' * (of > 1)}"
        yield f"column {name!r}: {shown} {were} not in training{rare} ({count})"
