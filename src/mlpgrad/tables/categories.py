"""Categories: a feature for each level, or one number that an `Embedding` layer looks up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from mlpgrad._core.arguments import count
from mlpgrad._core.arrays import Array
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.columns import Column

MOST_LEVELS = 1 << 24  # up to here float32 holds every whole number


class _Categories(ColumnEncoding):
    """Base: the levels that have a place of their own."""

    of_numbers = False

    def __init__(self, most: int, least_rows: int) -> None:
        name = type(self).__name__
        self.most = count(most, f"{name}: most", 1, MOST_LEVELS)
        self.least_rows = count(least_rows, f"{name}: least_rows")

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        """The levels with enough rows, the most frequent ones where there are too many."""
        counts = np.bincount(column.codes + 1, minlength=len(column.levels) + 1)
        gaps, counts = bool(counts[0]), counts[1:]
        by_count = np.argsort(-counts, kind="stable")[: self.most]
        chosen = sorted(by_count[counts[by_count] >= self.least_rows].tolist())
        rare = bool(counts.sum() > counts[chosen].sum())
        return {"levels": [column.levels[i] for i in chosen], "rare": rare, "gaps": gaps}

    def places(self, column: Column, state: State, unseen: int, missing: int) -> Array:
        """The place of each value: that of its level, or one of the two others."""
        known = {level: place for place, level in enumerate(state["levels"])}
        table = [known.get(level, unseen) for level in column.levels]
        places: Array = np.array([*table, missing], np.intp)[column.codes]
        return places


class OneHot(_Categories):
    """A feature for each level: 1 where the value is that level, else 0.

    Levels that are too rare or too many share a feature, and a level that was not there in
    training belongs to them. Where no levels are shared, it gives zeros. A gap has a feature of its
    own where there were gaps in training, and else counts as a level that was not there.

    Parameters
    ----------
    most : int, default 64
        Levels with a feature of their own: the most frequent ones.
    least_rows : int, default 1
        Training rows that such a level has, at least.

    Examples
    --------
    >>> from mlpgrad.tables import OneHot, TableEncoder
    >>> encoder = TableEncoder(categories=OneHot(most=2))
    >>> encoder.fit_transform({"town": ["Bonn", "Ulm", "Bonn", "Ulm", "Trier"]})
    array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]], dtype=float32)
    >>> encoder.feature_names_out()
    ['town=Bonn', 'town=Ulm', 'town=other']
    """

    def __init__(self, most: int = 64, *, least_rows: int = 1) -> None:
        super().__init__(most, least_rows)

    def names(self, state: State) -> list[str]:
        """The endings of the features' names, one for each level."""
        own = [f"={level}" for level in state["levels"]]
        return own + ["=other"] * state["rare"] + ["=missing"] * state["gaps"]

    def write(self, column: Column, state: State, out: Array) -> None:
        """A 1 at the place of each value."""
        levels = len(state["levels"])
        other = levels if state["rare"] else -1
        missing = levels + state["rare"] if state["gaps"] else other
        places = self.places(column, state, other, missing)
        rows = np.flatnonzero(places >= 0)
        out[rows, places[rows]] = 1

    def most_features(self, column: Column) -> int:
        """The levels, the shared feature, and that of gaps."""
        levels = len(column.levels)
        shared = levels > self.most or self.least_rows > 1
        return min(levels, self.most) + int(shared) + int(column.missing.any())

    @classmethod
    def example(cls) -> Self:
        return cls(2)


class Codes(_Categories):
    """One number a value, for an `Embedding` layer: 1, 2, 3 ... for the levels in order.

    0 stands for levels that are too rare or too many, and for those that were not there in
    training. A gap has the number after the last level where there were gaps in training, and
    else 0. `TableEncoder.codes()` tells the layer which features are codes, and how many there are.

    Parameters
    ----------
    most : int, default 16777214
        Levels with a number of their own: the most frequent ones.
    least_rows : int, default 1
        Training rows that such a level has, at least.

    Examples
    --------
    >>> from mlpgrad.tables import Codes, TableEncoder
    >>> encoder = TableEncoder(categories=Codes(least_rows=2))
    >>> encoder.fit_transform({"town": ["Bonn", "Ulm", "Bonn", "Ulm", "Trier"]}).ravel().tolist()
    [1.0, 2.0, 1.0, 2.0, 0.0]
    >>> encoder.codes()
    {0: 4}
    """

    def __init__(self, most: int = MOST_LEVELS - 2, *, least_rows: int = 1) -> None:
        super().__init__(most, least_rows)

    def names(self, state: State) -> list[str]:
        """One."""
        return [""]

    def write(self, column: Column, state: State, out: Array) -> None:
        """The numbers of the levels."""
        missing = len(state["levels"]) if state["gaps"] else -1
        out[:, 0] = self.places(column, state, -1, missing) + 1

    def most_features(self, column: Column) -> int:
        """One."""
        return 1

    def most_codes(self, levels: Sequence[str]) -> int:
        """How many numbers so many levels, or fewer, can need: 0, their own, that of a gap."""
        return min(len(levels), self.most) + 2
