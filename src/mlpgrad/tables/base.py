"""`ColumnEncoding`: the encoding of one column as numbers."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.described import Described
from mlpgrad.tables.columns import Column

State = dict[str, Any]
"""The state of an encoding for one column: numbers, arrays and lists of strings, by name."""


class ColumnEncoding(Described):
    """Base class of the encodings of a column.

    An object only has options; what it learns about a column is a separate dict, so that one
    object can encode any number of columns. A subclass implements `learn`, `names` and `write`,
    and also `most_features` if a column can have more than two features.

    Attributes
    ----------
    of_numbers : bool
        Whether it encodes numbers; otherwise categories.
    sees_target : bool
        Whether `learn` uses the target.

    Examples
    --------
    Ranks instead of numbers:

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
    scalars: ClassVar[tuple[str, ...]] = ()
    """Names in the state that hold one number; one that holds an array in a file is refused."""

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        """Learn the state of the encoding for a column from the training rows.

        Parameters
        ----------
        column : Column
            A column with `numbers (n,)`, NaN where missing, or with `codes (n,)` and `levels`.
        target : array (n, O) or None
            Numbers, or one column per class. None unless `sees_target`.
        weights : array (n,)
            The weights of the rows, all above 0.

        Returns
        -------
        dict
            The state: numbers, arrays and lists of strings, by name. It is saved with a model.
        """
        raise NotImplementedError

    def names(self, state: State) -> list[str]:
        """Return the suffix of the column's name for each of its features."""
        raise NotImplementedError

    def write(self, column: Column, state: State, out: Array) -> None:
        """Write the features of a column to `out (n, features)`, which is zero-filled."""
        raise NotImplementedError

    def is_sound(self, state: State) -> bool:
        """Return whether a state from a file has the sizes of one that `learn` returned."""
        return all(np.ndim(state[name]) == 0 for name in self.scalars)

    def of_members(self, states: list[State]) -> tuple[ColumnEncoding, list[State]]:
        """Return the encoding and the states for members of an ensemble that have these states."""
        return self, states

    def most_features(self, column: Column) -> int:
        """Return the maximum number of features of this column or of any subset of its rows."""
        return 1 + int(column.missing.any())

    @classmethod
    def example(cls) -> Self:
        """Return a new object, for tests that go through every class."""
        return cls()


class NumericEncoding(ColumnEncoding):
    """Base class of encodings of numbers, with a feature that marks missing values.

    A subclass implements `learn_numbers`, `parts` and `write_numbers`, which are only given
    numbers. The feature that marks missing values exists if there were missing values in training.
    """

    scalars: ClassVar[tuple[str, ...]] = ("gaps", "median")

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        """Learn the state of the present numbers, their median, and whether values are missing."""
        there = ~column.missing
        values = column.numbers[there]
        state: State = {"gaps": bool(not there.all()), "median": 0.0}
        if not values.size:
            return state | self.learn_numbers(np.zeros(1), None, np.ones(1))
        state["median"] = float(quantiles(values, weights[there], np.array([0.5]))[0])
        given = None if target is None else target[there]
        return state | self.learn_numbers(values, given, weights[there])

    def names(self, state: State) -> list[str]:
        """Return the suffixes of the numbers' features, and one for missing values."""
        return self.parts(state) + ["=missing"] * state["gaps"]

    def write(self, column: Column, state: State, out: Array) -> None:
        """Write the features; a missing value is written as the median, or as zeros and a mark."""
        parts, missing = len(self.parts(state)), column.missing
        values = np.where(missing, state["median"], column.numbers)
        with np.errstate(over="ignore"):
            self.write_numbers(values, state, out[:, :parts])
        if state["gaps"]:
            out[missing, :parts] *= self.median_where_missing
            out[:, parts] = missing
        if not np.isfinite(out[:, :parts]).all():
            place = int((~np.isfinite(out[:, :parts])).any(axis=1).argmax())
            row, number = column.first + place, column.numbers[place]
            raise ValueError(
                f"column {column.name!r}, row {row}: {number} is too far from the numbers in "
                "training to be scaled; check that the units are the same"
            )

    median_where_missing: ClassVar[bool] = True
    """Whether a missing value is encoded as the median; otherwise its other features are 0."""

    def learn_numbers(self, values: Array, target: Array | None, weights: Array) -> State:
        """Learn the state from numbers without missing values, at least one."""
        raise NotImplementedError

    def parts(self, state: State) -> list[str]:
        """Return the suffix of the column's name for each feature of its numbers."""
        return [""]

    def write_numbers(self, values: Array, state: State, out: Array) -> None:
        """Write the features of numbers without missing values."""
        raise NotImplementedError


def quantiles(values: Array, weights: Array, shares: Array) -> Array:
    """Return weighted quantiles: the smallest value with each fraction of weight at or below it.

    Examples
    --------
    >>> quantiles(np.array([1.0, 5.0, 2.0]), np.array([1.0, 1.0, 2.0]), np.array([0, 0.5, 1]))
    array([1., 2., 5.])
    """
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    # the fraction 0.7 of 10 rows is the 7th row, despite rounding of the product
    places = np.searchsorted(total, shares * total[-1] * (1 - 1e-12))
    found: Array = values[order][places]
    return found
