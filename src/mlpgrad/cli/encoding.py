"""The encoder of a table's columns, by what they were taken for, and its way through a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlpgrad.cli.columns import LEFT_OUT, NUMBERS, Decided

if TYPE_CHECKING:
    from mlpgrad.tables import TableEncoder


def encoder_of(columns: dict[str, Decided]) -> TableEncoder:
    """An encoder for the columns that are not left out, with the library's ways."""
    from mlpgrad.tables import OneHot, Standard, TableEncoder

    return TableEncoder(
        columns={
            name: Standard() if column.kind == NUMBERS else OneHot()
            for name, column in columns.items()
            if column.kind != LEFT_OUT
        }
    )


def encoder_state(encoder: TableEncoder | None) -> Any:
    """What an encoder has learnt, for JSON."""
    if encoder is None:
        return None
    snapshot = encoder.snapshot()
    plan = [[name, None, *rest] for name, _, *rest in snapshot["plan"]]
    return snapshot | {"plan": plan}


def encoder_from(columns: dict[str, Decided], state: Any) -> TableEncoder | None:
    """The encoder that `encoder_state` was given."""
    if state is None:
        return None
    encoder = encoder_of(columns)
    given = encoder.columns
    assert given is not None
    plan = [[name, given[name], *rest] for name, _, *rest in state["plan"]]
    encoder.restore(state | {"plan": plan})
    return encoder
