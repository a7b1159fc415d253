"""The features of a table, computed for as many rows at a time as are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array, Shape
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.columns import Column


class Encoded(NamedTuple):
    """A column of the table with its encoding, and the state of that for all or each member."""

    column: Column
    encoding: ColumnEncoding
    states: Sequence[State]
    width: int


class Features:
    """Features `(n, width)`, or `(E, n, width)`, that are not computed yet.

    Neither are slices such as `features[..., 10:20, :]`; `astype` and `np.asarray` compute them.

    Parameters
    ----------
    columns : sequence of Encoded
    lead : tuple of int
        The axis of members, if there is one.
    rows : range
        The rows of the table, which follow one another.
    """

    def __init__(self, columns: Sequence[Encoded], lead: Shape, rows: range) -> None:
        self._columns, self._lead, self._rows = columns, lead, rows
        self.shape = (*lead, len(rows), sum(column.width for column in columns))

    def __getitem__(self, key: tuple[Any, slice, slice]) -> Features:
        """Return some of the rows, by the key with which an array is sliced."""
        return Features(self._columns, self._lead, self._rows[key[-2]])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return self.astype(dtype)

    def astype(self, dtype: Any = None, copy: bool = False) -> Array:
        """Compute the features, in float32 if no dtype is given."""
        out = np.zeros(self.shape, np.float32)
        start = 0
        for column, encoding, states, width in self._columns:
            features = out[..., start : start + width]
            part = column.part(self._rows)
            if not self._lead:
                encoding.write(part, states[0], features)
            else:
                _write(encoding, part, states, features)
            start += width
        return out if dtype is None else out.astype(dtype, copy=False)


def _write(
    encoding: ColumnEncoding, column: Column, states: Sequence[State], features: Array
) -> None:
    """Write the features of all members, those of members with the same state once."""
    written: dict[int, int] = {}
    for member in range(len(features)):
        state = states[member if len(states) > 1 else 0]
        first = written.setdefault(id(state), member)
        if first == member:
            encoding.write(column, state, features[member])
        else:
            features[member] = features[first]
