"""`TableEncoder`: from the columns of a table to the features of a network."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described, suggesting
from mlpgrad._core.stateful import Stateful, check_snapshot
from mlpgrad.datasets.fields import MISSING, Fields
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.categories import OneHot
from mlpgrad.tables.features import Encoded, Features
from mlpgrad.tables.frames import RawTable, raw_table
from mlpgrad.tables.numeric import Standard
from mlpgrad.tables.plan import (
    Planned,
    by_column,
    check_names,
    encoding_or,
    feature_names,
    learnt,
    of_members,
    planned,
    read_column,
    restored,
    shrunk,
    summary,
)
from mlpgrad.tables.target import target_columns, weights_of


class TableEncoder(Described, Stateful):
    """Encode the columns of a table as float32 features: numbers, categories, missing values.

    The kind of each column is recognized when the encoder is fitted, and fixed from then on:

    - A column is *numbers* if it has a numeric type, if it is boolean (encoded as 1 and 0), or if
      it is text that consists of plain numbers. Texts with leading zeros, such as "0049", are
      codes, and therefore categories.
    - Other text and columns of a categorical type are *categories*.
    - A column is *left out* if all values are missing or equal, or if it is text in which no value
      occurs twice, as in an identifier. `summary()` lists such columns.
    - A column is *refused*, with an error that names row, column and a fix, if it holds dates,
      objects, text among numbers, or amounts ("$5", "1,200", more than 20 different "3 kg").

    `columns` overrides this. Each encoding documents how it treats levels and missing values that
    did not occur in training.

    Parameters
    ----------
    numeric : ColumnEncoding, default Standard()
        The encoding of numbers: `Standard()`, `Robust()`, `QuantileBins()` or `TargetBins()`.
    categories : ColumnEncoding, default OneHot()
        The encoding of categories: `OneHot()` or `Codes()`.
    columns : dict of name to ColumnEncoding or None, optional
        Encodings of single columns, which override the above; None leaves a column out. The
        columns of an array are named 0, 1, 2 ...
    missing : sequence of str, default ("", "?", "NA", "N/A", "NaN", "null")
        Texts that mean a missing value, regardless of case. Given texts replace the default ones:
        to add one, write all of them. NaN, None and similar values are always missing.

    Attributes
    ----------
    width : int
        Number of features.
    planned, fitted : bool
        Whether the kind of each column has been decided; whether the encoder can transform.

    Examples
    --------
    >>> from mlpgrad.tables import TableEncoder
    >>> table = {"rooms": [3, 2, None], "town": ["Bonn", "Ulm", "Bonn"], "paid": ["1", "0", "1"]}
    >>> encoder = TableEncoder().fit(table)
    >>> encoder.transform(table).round(1)
    array([[ 1. ,  0. ,  1. ,  0. ,  0.7],
           [-1. ,  0. ,  0. ,  1. , -1.4],
           [-1. ,  1. ,  1. ,  0. ,  0.7]], dtype=float32)
    >>> encoder.feature_names_out()
    ['rooms', 'rooms=missing', 'town=Bonn', 'town=Ulm', 'paid']
    """

    _options_act = True

    def __init__(
        self,
        numeric: ColumnEncoding | None = None,
        categories: ColumnEncoding | None = None,
        *,
        columns: Mapping[str | int, ColumnEncoding | None] | None = None,
        missing: Sequence[str] = MISSING,
    ) -> None:
        self.numeric = encoding_or(numeric, "numeric", Standard())
        self.categories = encoding_or(categories, "categories", OneHot())
        if not self.numeric.of_numbers or self.categories.of_numbers:
            raise TypeError(
                f"numeric expects an encoding of numbers and categories one of categories, got "
                f"{self.numeric!r} and {self.categories!r}"
            )
        self.columns = columns
        self.missing = tuple(missing) if isinstance(missing, (list, set)) else missing
        self._by_column = by_column(columns)
        self._fields = Fields(missing=self.missing)
        self._plan: list[Planned] = []
        self._states: list[list[State]] = []
        self._members: int | None = None

    def _option_changed(self) -> None:
        """Forget what was learned with other options."""
        self._plan, self._states, self._members = [], [], None

    # description

    @property
    def width(self) -> int:
        self._check_planned()
        return sum(column.width for column in self._plan)

    @property
    def planned(self) -> bool:
        return bool(self._plan)

    @property
    def fitted(self) -> bool:
        return bool(self._states)

    def column_names(self) -> tuple[str, ...]:
        """Return the names of the required columns, as strings."""
        return tuple(str(column.name) for column in self._plan if column.encoding)

    def codes(self) -> dict[int, int]:
        """Return the features that are codes with their numbers of codes, for an `Embedding`."""
        self._check_planned()
        starts = itertools.accumulate((column.width for column in self._plan), initial=0)
        placed = zip(starts, self._plan, strict=False)
        return {start: column.codes for start, column in placed if column.codes}

    def feature_names_out(self) -> list[str]:
        """Return the names of the features: that of the column with a suffix by the encoding."""
        self._check_fitted()
        names = map(feature_names, self._plan, self._states)
        return [*itertools.chain.from_iterable(names)]

    def summary(self) -> str:
        """Return a line for each column: its kind, the reason, and its features."""
        self._check_planned()
        return summary(self._plan)

    # public methods

    @suggesting
    def fit(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Recognize the columns of a table, and learn how to encode them.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
            The training rows only.
        y : array (n,) or (n, O), optional
            The target, for encodings that use it: numbers, or classes as text or booleans.
        sample_weight : array (n,), optional
            Numbers >= 0; a row of weight 0 is only used to recognize the kinds of columns.

        Returns
        -------
        TableEncoder
            This object.

        Raises
        ------
        ValueError, TypeError
            If a column cannot be used as it is; the message says where, and how to fix it.
        """
        table = raw_table(x)
        target, weights = target_columns(y, table.rows), weights_of(sample_weight, table.rows)
        self._read_plan(table)
        self._fit(table, target, weights, None)
        pairs = zip(self._plan, self._states, strict=True)
        self._plan = [shrunk(column, states) for column, states in pairs]
        return self

    def transform(self, x: Any) -> Array:
        """Return the features of a table.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
            A table with the fitted columns, by name in any order.

        Returns
        -------
        array (n, width), or (E, n, width)
            The features, float32. They have an axis of members if `fit_members` has learned an
            encoding for each.

        Raises
        ------
        ValueError
            If a column is missing, did not exist in training, or holds something else than in
            training; the message says where, and how to fix it.
        """
        return self.features(x).astype()

    @suggesting
    def fit_transform(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> Array:
        """`fit` and `transform` on the same rows."""
        return self.fit(x, y, sample_weight=sample_weight).transform(x)

    # methods for models

    def features(self, x: Any) -> Features:
        """Return what `transform` returns, computed for some rows at a time: by `np.asarray`.

        Slices such as `features[..., 10:20, :]` are computed alone. Errors are the same.
        """
        self._check_fitted()
        table = raw_table(x)
        check_names(self._plan, table)
        columns = [
            Encoded(read_column(table[name], encoding, self._fields), encoding, states, width)
            for (name, encoding, _, width, _), states in zip(self._plan, self._states, strict=True)
            if encoding is not None
        ]
        lead = () if self._members is None else (self._members,)
        return Features(columns, lead, range(table.rows))

    def plan(self, x: Any) -> Self:
        """Recognize the columns, and reserve all features that they may need.

        `width` and `codes()` are then known before a model is made, and do not change when the
        encoder is fitted on a part of the rows: features that are not needed are zero.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
            All available rows.

        Returns
        -------
        TableEncoder
            This object.
        """
        self._read_plan(raw_table(x))
        return self

    def fit_members(
        self,
        x: Any,
        target: Array | None,
        weights: Array | None,
        rows: Array | None,
        members: Sequence[Array] | None = None,
    ) -> Self:
        """Learn how to encode the columns from some rows, within the plan if there is one.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
        target : array (n, O) or None
            Numbers, or one column per class.
        weights : array (n,) or None
        rows : array of int or None
            The rows to learn from; None for all rows.
        members : sequence of array of int, optional
            The rows that each member of an ensemble trains on. Encodings that use the target learn
            from these rows, once for each member; the others learn from `rows`.

        Returns
        -------
        TableEncoder
            This object.
        """
        table = raw_table(x)
        if not self._plan:
            self._read_plan(table)
        check_names(self._plan, table)
        everything = np.arange(table.rows) if rows is None else rows
        weights = np.ones(table.rows) if weights is None else weights
        self._fit(table, target, weights, [everything, *(members or ())])
        return self

    def of_members(self, members: Sequence[int], *, alone: bool = False) -> Self:
        """Return a copy with the state of some members of an ensemble."""
        twin = copy.deepcopy(self)
        if self._members is not None:
            twin._members = None if alone else len(members)
            kept = [
                of_members(column, [states[i] for i in members] if len(states) > 1 else states)
                for column, states in zip(twin._plan, twin._states, strict=True)
            ]
            twin._plan, twin._states = [[*each] for each in zip(*kept, strict=True)]
        return twin

    def member(self, index: int) -> Self:
        """Return a copy for one member as a separate model."""
        return self.of_members([index], alone=True)

    def _read_plan(self, table: RawTable) -> None:
        """Decide the kind of each column, and forget what was learned."""
        self._plan = planned(table, self.numeric, self.categories, self._by_column, self._fields)
        self._states, self._members = [], None

    def _fit(
        self, table: RawTable, target: Array | None, weights: Array, rows: list[Array] | None
    ) -> None:
        """Learn each column's state from the first of `rows`, or from each of the others.

        The others are for encodings that use the target. None stands for all rows.
        """
        counted = np.flatnonzero(weights)
        chosen = [counted] if rows is None else [np.intersect1d(some, counted) for some in rows]
        self._states = [
            learnt(column, table, self._fields, target, weights, chosen) for column in self._plan
        ]
        several = any(len(states) > 1 for states in self._states)
        self._members = len(chosen) - 1 if several else None

    # checks

    def _check_planned(self) -> None:
        if not self._plan:
            raise RuntimeError("the encoder is not planned yet; call encoder.fit(x, y) first")

    def _check_fitted(self) -> None:
        if not self.fitted:
            raise RuntimeError("the encoder is not fitted yet; call encoder.fit(x, y) first")

    # saving

    def snapshot(self) -> dict[str, Any]:
        """Return the state: strings, numbers, arrays, encodings, and lists and dicts of these."""
        plan = [list(column) for column in self._plan]
        return copy.deepcopy({"plan": plan, "states": self._states, "members": self._members})

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the result of `snapshot`."""
        check_snapshot(self, snapshot, ("plan", "states", "members"))
        kept = copy.deepcopy(dict(snapshot))
        plan = [Planned(*column) for column in kept["plan"]]
        states = restored(plan, kept["states"], kept["members"], self._fields)
        self._plan, self._states, self._members = plan, states, kept["members"]

    @classmethod
    def example(cls) -> Self:
        return cls()
