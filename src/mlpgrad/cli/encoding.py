"""The encoder for the columns of a table, by their kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlpgrad.cli.columns import CATEGORIES, LEFT_OUT, NUMBERS, Decided

if TYPE_CHECKING:
    from mlpgrad.tables import TableEncoder


def encoder_of(columns: dict[str, Decided]) -> TableEncoder:
    """Return an encoder for the columns that are used, with the default encodings."""
    from mlpgrad.tables import OneHot, Standard, TableEncoder

    return TableEncoder(
        columns={
            name: Standard() if column.kind == NUMBERS else OneHot()
            for name, column in columns.items()
            if column.kind != LEFT_OUT
        }
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
