"""`ColumnEncoding`: a way to make numbers of one column."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described
from mlpgrad.tables.columns import Column

State = dict[str, Any]
"""What an encoding has learnt of a column: numbers, arrays and lists of texts, by name."""


class ColumnEncoding(Described):
    """Base of the ways to encode a column. An object has options only; what it learns of a column
    is a dict of its own, so that one object serves any number of columns.

    A subclass implements `learn`, `names` and `write`, and `most_features` where a column can
    become more than two.

    Attributes
    ----------
    of_numbers : bool
        Whether it encodes numbers; else categories.
    sees_target : bool
        Whether `learn` looks at the target.

    Examples
    --------
    Ranks in place of numbers:

    >>> import numpy as np
    >>> from mlpgrad.tables import ColumnEncoding, TableEncoder
    >>> class Ranks(ColumnEncoding):
    ...     def learn(self, column, target, weights):
    ...         return {"sorted": np.sort(column.numbers)}
    ...     def names(self, state):
    ...         return [""]
    ...     def write(self, column, state, out):
    ...         ranks = np.searchsorted(state["sorted"], column.numbers, "right")
    ...         out[:, 0] = ranks / len(state["sorted"])
    >>> TableEncoder(numeric=Ranks()).fit_transform({"size": [3.0, 1.0, 2.0, 10.0]})
    array([[0.75],
           [0.25],
           [0.5 ],
           [1.  ]], dtype=float32)
    """

    _options_act = True

    of_numbers: ClassVar[bool] = True
    sees_target: ClassVar[bool] = False

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        """Learn what the encoding needs to know about a column, from the training rows.

        Parameters
        ----------
        column : Column
            With `numbers (n,)`, NaN where missing, or `codes (n,)` and `levels`.
        target : array (n, O) or None
            Numbers, or one column a class. None unless `sees_target`.
        weights : array (n,)
            The weights of the rows, all above 0.

        Returns
        -------
        dict
            Numbers, arrays, and lists of texts, by name: it is saved with a model.
        """
        raise NotImplementedError

    def names(self, state: State) -> list[str]:
        """What to add to the column's name for each feature that it becomes."""
        raise NotImplementedError

    def write(self, column: Column, state: State, out: Array) -> None:
        """Write the features of a column into `out (n, features)`, which holds zeros."""
        raise NotImplementedError

    def most_features(self, column: Column) -> int:
        """How many features this column, or any part of its rows, can become."""
        return 1 + int(column.missing.any())

    @classmethod
    def example(cls) -> Self:
        """A new object, for tests that go through every class."""
        return cls()


class NumericEncoding(ColumnEncoding):
    """Base of those of numbers: a gap has a column of its own, where there were gaps in training.

    A subclass implements `learn_numbers`, `parts` and `write_numbers`, which see numbers only.
    """

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        """The state of the numbers that are there, their median, and whether there are gaps."""
        there = ~column.missing
        values = column.numbers[there]
        state: State = {"gaps": bool(not there.all()), "median": 0.0}
        if not values.size:
            return state | self.learn_numbers(np.zeros(1), None, np.ones(1))
        state["median"] = float(quantiles(values, weights[there], np.array([0.5]))[0])
        given = None if target is None else target[there]
        return state | self.learn_numbers(values, given, weights[there])

    def names(self, state: State) -> list[str]:
        """The endings of the names of the numbers' features, and one for gaps."""
        return self.parts(state) + ["=missing"] * state["gaps"]

    def write(self, column: Column, state: State, out: Array) -> None:
        """The numbers' features; a gap as the median, or as zeros beside a column of its own."""
        parts, missing = len(self.parts(state)), column.missing
        values = np.where(missing, state["median"], column.numbers)
        with np.errstate(over="ignore"):
            self.write_numbers(values, state, out[:, :parts])
        if state["gaps"]:
            out[missing, :parts] *= self.median_where_missing
            out[:, parts] = missing
        if not np.isfinite(out[:, :parts]).all():
            row = int((~np.isfinite(out[:, :parts])).any(axis=1).argmax())
            raise ValueError(
                f"column {column.name!r}, row {row}: {column.numbers[row]} lies too far from the "
                f"numbers in training to be scaled; are the units the same?"
            )

    median_where_missing: ClassVar[bool] = True
    """Whether a gap is also encoded as the median; else its other features are 0."""

    def learn_numbers(self, values: Array, target: Array | None, weights: Array) -> State:
        """Learn what the encoding needs to know about numbers without gaps, at least one."""
        raise NotImplementedError

    def parts(self, state: State) -> list[str]:
        """What to add to the column's name for each feature of its numbers."""
        return [""]

    def write_numbers(self, values: Array, state: State, out: Array) -> None:
        """Write the features of numbers without gaps."""
        raise NotImplementedError


def quantiles(values: Array, weights: Array, shares: Array) -> Array:
    """The smallest value with at least each share of the weight at or below it.

    Examples
    --------
    >>> quantiles(np.array([1.0, 5.0, 2.0]), np.array([1.0, 1.0, 2.0]), np.array([0, 0.5, 1]))
    array([1., 2., 5.])
    """
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    # a share such as 0.7 of 10 rows is the 7th, whatever the rounding of the product
    places = np.searchsorted(total, shares * total[-1] * (1 - 1e-12))
    found: Array = values[order][places]
    return found
