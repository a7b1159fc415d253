"""`TableEncoder`: from a person's columns to the numbers that a network takes."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described, suggesting
from mlpgrad._core.stateful import Stateful
from mlpgrad.datasets.fields import MISSING, Fields
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.categories import OneHot
from mlpgrad.tables.frames import RawTable, raw_table
from mlpgrad.tables.numeric import Standard
from mlpgrad.tables.plan import (
    Planned,
    by_column,
    check_names,
    encoding_or,
    feature_names,
    is_sound,
    learnt,
    planned,
    read_column,
    shrunk,
    summary,
)
from mlpgrad.tables.target import target_columns, weights_of


class TableEncoder(Described, Stateful):
    """Makes float32 features of a table's columns: numbers, categories, gaps.

    What a column holds is recognised when the encoder is fitted, and is the same from then on:

    - A column is *numbers* if its type says so, if it is true or false (1 and 0), or if it is text
      and every text is a plain number. Texts with leading zeros, such as "0049", are codes, and so
      categories.
    - Other text is *categories*, and so are columns of a categorical type.
    - It is *left out* if every value is missing or the same, or if it is text and no text comes
      twice, as in an id. `summary()` names such columns.
    - It is *refused*, by row and column, with what to do about it, if it holds dates, amounts that
      are not plain numbers ("$5", "1,200", "3 kg"), text among numbers, or objects.

    `columns` decides otherwise. Each encoding documents where levels and gaps go that were not
    there in training.

    Parameters
    ----------
    numeric : ColumnEncoding, default Standard()
        How numbers are encoded: `Standard()`, `Robust()`, `QuantileBins()` or `TargetBins()`.
    categories : ColumnEncoding, default OneHot()
        How categories are encoded: `OneHot()` or `Codes()`.
    columns : dict of name to ColumnEncoding or None, optional
        What to do with single columns in place of the above; None leaves a column out. The columns
        of an array are named 0, 1, 2 ...
    missing : sequence of str, default ("", "?", "NA", "N/A", "NaN", "null")
        Texts that stand for a gap, in upper or lower case. NaN, None and similar values always do.

    Attributes
    ----------
    width : int
        Number of features.
    planned, fitted : bool
        Whether it knows what becomes of each column; whether it can transform.

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
        """Forget what was learnt with other options."""
        self._plan, self._states, self._members = [], [], None

    # what it is

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
        """The names of the columns that it needs, as text."""
        return tuple(str(column.name) for column in self._plan if column.encoding)

    def codes(self) -> dict[int, int]:
        """For an `Embedding` layer: the features that are codes, and how many codes each has."""
        self._check_planned()
        starts = itertools.accumulate((column.width for column in self._plan), initial=0)
        placed = zip(starts, self._plan, strict=False)
        return {start: column.codes for start, column in placed if column.codes}

    def feature_names_out(self) -> list[str]:
        """The names of the features: that of the column, and what the encoding adds."""
        self._check_fitted()
        names = map(feature_names, self._plan, self._states)
        return [*itertools.chain.from_iterable(names)]

    def summary(self) -> str:
        """A line for each column: what it was taken for, why, and what it becomes."""
        self._check_planned()
        return summary(self._plan)

    # what people call

    @suggesting
    def fit(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> Self:
        """Recognise the columns of a table, and learn how to encode them.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
            The rows that are trained on, and no others.
        y : array (n,) or (n, O), optional
            The target, for encodings that look at it: numbers, or text or booleans, which are
            classes.
        sample_weight : array (n,), optional
            Numbers >= 0; a row of weight 0 only counts for the kinds of columns.

        Returns
        -------
        TableEncoder
            This object.

        Raises
        ------
        ValueError, TypeError
            If a column cannot be used as it is; the message says where and what to do.
        """
        table = raw_table(x)
        target, weights = target_columns(y, table.rows), weights_of(sample_weight, table.rows)
        self._read_plan(table)
        self._fit(table, target, weights, None)
        pairs = zip(self._plan, self._states, strict=True)
        self._plan = [shrunk(column, states) for column, states in pairs]
        return self

    def transform(self, x: Any) -> Array:
        """The features of a table.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
            With the columns that were fitted, by name in any order.

        Returns
        -------
        array (n, width), or (E, n, width)
            float32. With an axis of members where `fit_members` has learnt an encoding for each.

        Raises
        ------
        ValueError
            If a column is missing or was not there in training, or holds something else than in
            training; the message says where and what to do.
        """
        self._check_fitted()
        table = raw_table(x)
        check_names(self._plan, table)
        lead = () if self._members is None else (self._members,)
        out = np.zeros((*lead, table.rows, self.width), np.float32)
        start = 0
        for column, states in zip(self._plan, self._states, strict=True):
            if column.encoding is None:
                continue
            read = read_column(table[column.name], column.encoding, self._fields)
            features = out[..., start : start + column.width]
            for member, state in enumerate(states):
                column.encoding.write(read, state, features if lead == () else features[member])
            if lead and len(states) == 1:
                features[1:] = features[0]
            start += column.width
        return out

    @suggesting
    def fit_transform(self, x: Any, y: Any = None, *, sample_weight: Any = None) -> Array:
        """`fit` and `transform` on the same rows."""
        return self.fit(x, y, sample_weight=sample_weight).transform(x)

    # what a model calls

    def plan(self, x: Any) -> Self:
        """Recognise the columns, and set aside features for all that they can become.

        Then `width` and `codes()` are known before a model is made, and stay as they are when the
        encoder is fitted on some of the rows: features that are not needed hold zeros.

        Parameters
        ----------
        x : DataFrame (pandas, polars), dict of columns, structured array, or array (n, columns)
            All rows that are there.

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
            Numbers, or one column a class.
        weights : array (n,) or None
        rows : array of int or None
            The rows to learn from; None for all.
        members : sequence of array of int, optional
            The rows that each member of an ensemble trains on. Encodings that look at the target
            learn from these rows, once for each member; the others learn from `rows`.

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
        """A copy that has learnt what it has for some members of an ensemble."""
        twin = copy.deepcopy(self)
        if self._members is not None:
            twin._members = None if alone else len(members)
            twin._states = [
                [states[i] for i in members] if len(states) > 1 else states
                for states in twin._states
            ]
        return twin

    def member(self, index: int) -> Self:
        """A copy for one member as a model of its own."""
        return self.of_members([index], alone=True)

    def _read_plan(self, table: RawTable) -> None:
        """Decide on each column, and forget what was learnt."""
        self._plan = planned(table, self.numeric, self.categories, self._by_column, self._fields)
        self._states, self._members = [], None

    def _fit(
        self, table: RawTable, target: Array | None, weights: Array, rows: list[Array] | None
    ) -> None:
        """Learn each column's state, from the first of `rows` or, by the target, from each other.

        None stands for all rows.
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
            raise RuntimeError("the encoder knows no table yet; call encoder.fit(x, y) first")

    def _check_fitted(self) -> None:
        if not self.fitted:
            raise RuntimeError("the encoder is not fitted yet; call encoder.fit(x, y) first")

    # saving

    def snapshot(self) -> dict[str, Any]:
        """What it has learnt: texts, numbers, arrays, encodings, and lists and dicts of these."""
        plan = [list(column) for column in self._plan]
        kept = {"plan": plan, "states": self._states, "members": self._members}
        return copy.deepcopy(kept)

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back what `snapshot` has returned."""
        kept = copy.deepcopy(dict(snapshot))
        plan = [Planned(*column) for column in kept["plan"]]
        states, members = kept["states"], kept["members"]
        whole = isinstance(members, int) or members is None
        if not whole or len(states) not in (0, len(plan)) or not all(map(is_sound, plan)):
            raise ValueError("its description of a table's encoder is inconsistent")
        self._plan, self._states, self._members = plan, states, members

    @classmethod
    def example(cls) -> Self:
        return cls()
