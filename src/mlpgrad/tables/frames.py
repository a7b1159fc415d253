"""The columns of a table in any form: data frames, dicts, structured and 2-d arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpgrad._core.arguments import refuse_hidden, shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.cached import Cached
from mlpgrad._core.frames import columns_of, is_frame, without_index

RECORDS = "write pandas.DataFrame(rows), or {name: [row[name] for row in rows] for name in rows[0]}"
GAP = "numpy.nan"
FORMS = "a DataFrame, a dict of columns, or an array (rows, columns)"


class RawColumn:
    """A column as it was given.

    Parameters
    ----------
    name : str or int
    values : array (n,)
        The values of the column, in any dtype.
    categorical : bool
        Whether it has a categorical type of pandas or polars.
    """

    def __init__(self, name: str | int, values: Array, categorical: bool) -> None:
        self.name, self.values, self.categorical = name, values, categorical

    @Cached
    def objects(self) -> list[Any]:
        """The values as Python objects."""
        return self.values.tolist()  # type: ignore[no-any-return]  # one axis: a list

    @Cached
    def counts(self) -> Counter[Any]:
        """The number of occurrences of each value; text is checked once per distinct value."""
        return Counter(self.objects)

    def row_of(self, wanted: Callable[[Any], bool]) -> int:
        """Return the first row with such a value; there must be one."""
        return next(row for row, value in enumerate(self.objects) if wanted(value))


class RawTable:
    """The columns of a table by name, converted to arrays on access.

    Parameters
    ----------
    table : DataFrame, dict, or array
        A pandas or polars DataFrame, a dict of columns, a structured array, or an array
        `(n, columns)` of any dtype or a list of rows, whose columns are then named 0, 1, 2 ...

    Attributes
    ----------
    names : list of str or int
    rows : int

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it has no rows or no columns, columns of different lengths, or two of the same name.
    """

    def __init__(self, table: Any) -> None:
        refuse_hidden(table, "the table", GAP)
        named = _named_columns(table)
        self.names = [name for name, _ in named]
        self._check_names()
        self._columns = dict(zip(self.names, (values for _, values in named), strict=True))
        lengths = {len(self[name].values) for name in self.names}
        if len(lengths) > 1:
            raise ValueError(
                f"a table expects columns of equal length, got lengths {sorted(lengths)}"
            )
        self.rows = lengths.pop() if lengths else 0
        if not self.rows or not self.names:
            raise ValueError(
                f"the table is empty: {self.rows} rows, {len(self.names)} columns; at least one "
                f"row and one column are needed"
            )

    def _check_names(self) -> None:
        seen: set[Any] = set()
        for name in self.names:
            if not isinstance(name, (str, int, np.integer)):
                raise TypeError(
                    f"a column name must be a str or an int, got {shown(name)}; name it with "
                    "table.columns = [...]"
                )
            if name in seen:
                raise ValueError(
                    f"two columns are named {name!r}; give each column a different name"
                )
            seen.add(name)
        self.names = [name if isinstance(name, str) else int(name) for name in self.names]

    def __getitem__(self, name: str | int) -> RawColumn:
        """Return a column by its name."""
        values = self._columns[name]
        dtype = str(getattr(values, "dtype", ""))
        categorical = dtype == "category" or dtype.startswith(("Categorical", "Enum"))
        refuse_hidden(values, f"column {name!r}", GAP)
        return RawColumn(name, _as_column(without_index(values), name), categorical)


def raw_table(table: Any) -> RawTable:
    """Return a table as a `RawTable`; one that already is a `RawTable` is returned unchanged."""
    return table if isinstance(table, RawTable) else RawTable(table)


def _named_columns(table: Any) -> list[tuple[Any, Any]]:
    """The columns with their names, or with their places where they have none."""
    if is_frame(table):
        return list(columns_of(table))
    if isinstance(table, Mapping):
        return list(table.items())
    array = _as_array(table)
    names = array.dtype.names
    return [(name, array[name]) for name in names] if names else list(enumerate(array.T))


def _as_array(table: Any) -> Array:
    """Return an array of rows and columns, or one with named fields."""
    if hasattr(table, "toarray"):
        raise TypeError("the table is a sparse matrix; pass table.toarray()")
    if not hasattr(table, "dtype"):
        if not isinstance(table, (list, tuple)):
            raise TypeError(f"a table expects {FORMS}, got {shown(table)}")
        if any(isinstance(row, Mapping) for row in table):
            raise TypeError(f"a table expects {FORMS}, got a list of dicts; {RECORDS}")
        widths = {len(row) if isinstance(row, (list, tuple)) else -1 for row in table}
        if len(widths) != 1 or -1 in widths:
            raise ValueError("a table as a list expects rows of equal length")
        table = np.array(table, object)
    array = np.asarray(table)
    if array.ndim != (1 if array.dtype.names else 2):
        fix = "; one column: table[:, None]" if array.ndim == 1 else ""
        if hasattr(table, "to_frame"):  # a Series: often a row of a frame
            fix = "; a row of a frame as a table: frame[i : i + 1]"
        raise ValueError(f"a table expects {FORMS}, got an array of shape {array.shape}{fix}")
    return array


def _as_column(values: Any, name: str | int) -> Array:
    """Return one column as an array, with text and numbers unchanged."""
    if not hasattr(values, "dtype"):
        if isinstance(values, (str, bytes)) or not hasattr(values, "__len__"):
            raise TypeError(f"column {name!r} expects a list of values, got {shown(values)}")
        column = np.empty(len(values), object)
        column[:] = list(values)
        values = column
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"column {name!r} expects shape (n,), got {array.shape}")
    return array
