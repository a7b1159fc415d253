"""Encodings of categories: one feature per level, or one code for an `Embedding` layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np

from mlpgrad._core.arguments import count
from mlpgrad._core.arrays import Array
from mlpgrad.tables.base import ColumnEncoding, State
from mlpgrad.tables.columns import Column, same_number

MOST_LEVELS = 1 << 24  # up to this, float32 represents every integer exactly


class _Categories(ColumnEncoding):
    """Base class of encodings of categories: the levels with their own position."""

    of_numbers = False
    scalars = ("rare", "gaps")

    def __init__(self, most: int, least_rows: int) -> None:
        name = type(self).__name__
        self.most = count(most, f"{name}: most", 1, MOST_LEVELS)
        self.least_rows = count(least_rows, f"{name}: least_rows")

    def learn(self, column: Column, target: Array | None, weights: Array) -> State:
        """Learn the levels with enough rows; if there are too many, the most frequent ones."""
        counts = np.bincount(column.codes + 1, minlength=len(column.levels) + 1)
        gaps, counts = bool(counts[0]), counts[1:]
        by_count = np.argsort(-counts, kind="stable")[: self.most]
        chosen = sorted(by_count[counts[by_count] >= self.least_rows].tolist())
        rare = bool(counts.sum() > counts[chosen].sum())
        return {"levels": [column.levels[i] for i in chosen], "rare": rare, "gaps": gaps}

    def is_sound(self, state: State) -> bool:
        """Return whether a state from a file has a list of levels, which are strings."""
        levels = state["levels"]
        listed = type(levels) is list and all(type(level) is str for level in levels)
        return super().is_sound(state) and listed

    def places(self, column: Column, state: State, unseen: int, missing: int) -> Array:
        """Return the position of each value: its level, other levels, or missing values."""
        table = self._table(column, state, unseen)
        places: Array = np.array([*table, missing], np.intp)[column.codes]
        return places

    def unseen(self, column: Column, state: State) -> list[str]:
        """Return the levels of a column that the encoding has no place for."""
        table = self._table(column, state, -1)
        return [level for level, place in zip(column.levels, table, strict=True) if place < 0]

    def _table(self, column: Column, state: State, unseen: int) -> list[int]:
        """Return the position of each level of a column.

        A level that did not occur in training is taken for the only one with the same number:
        files have 1.0 for integers with gaps. Levels such as "1" and "01" stay different.
        """
        known = {level: place for place, level in enumerate(state["levels"])}
        if all(level in known for level in column.levels):
            return [known[level] for level in column.levels]
        alike: dict[str, list[int]] = {}
        for level, place in known.items():
            alike.setdefault(same_number(level), []).append(place)
        same = (alike.get(same_number(level), [unseen]) for level in column.levels)
        return [
            known.get(level, places[0] if len(places) == 1 else unseen)
            for level, places in zip(column.levels, same, strict=True)
        ]


class OneHot(_Categories):
    """One-hot encoding: a feature for each level, which is 1 for that level and 0 for others.

    Levels that are too rare, or exceed `most`, share one feature, which is also that of levels
    that did not occur in training. If no levels share a feature, a new level gives zeros. A
    missing value has its own feature if there were missing values in training; otherwise it is
    treated as a new level. "1.0" is the level "1" if only one of the two occurred in training.

    Parameters
    ----------
    most : int, default 64
        Maximum number of levels with their own feature; the most frequent ones are chosen.
    least_rows : int, default 1
        Minimum number of training rows of such a level.

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
        """Return the suffixes of the features' names, one for each level."""
        own = [f"={level}" for level in state["levels"]]
        return own + ["=other"] * state["rare"] + ["=missing"] * state["gaps"]

    def write(self, column: Column, state: State, out: Array) -> None:
        """Write a 1 at the position of each value."""
        levels = len(state["levels"])
        other = levels if state["rare"] else -1
        missing = levels + state["rare"] if state["gaps"] else other
        places = self.places(column, state, other, missing)
        rows = np.flatnonzero(places >= 0)
        out[rows, places[rows]] = 1

    def most_features(self, column: Column) -> int:
        """Return the number of levels, plus the shared feature and that of missing values."""
        levels = len(column.levels)
        shared = levels > self.most or self.least_rows > 1
        return min(levels, self.most) + int(shared) + int(column.missing.any())

    @classmethod
    def example(cls) -> Self:
        return cls(2)


class Codes(_Categories):
    """Integer codes for an `Embedding` layer: 1, 2, 3 ... for the levels in order.

    The code 0 is for levels that are too rare or exceed `most`, and for levels that did not occur
    in training. A missing value has the code after the last level if there were missing values in
    training, and otherwise 0. `TableEncoder.codes()` returns which features are codes, and the
    number of codes of each, as `Embedding` takes them.

    Parameters
    ----------
    most : int, default 16777214
        Maximum number of levels with their own code; the most frequent ones are chosen.
    least_rows : int, default 1
        Minimum number of training rows of such a level.

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
        """Return one feature."""
        return [""]

    def write(self, column: Column, state: State, out: Array) -> None:
        """Write the codes of the levels."""
        missing = len(state["levels"]) if state["gaps"] else -1
        out[:, 0] = self.places(column, state, -1, missing) + 1

    def most_features(self, column: Column) -> int:
        """Return one feature."""
        return 1

    def most_codes(self, levels: Sequence[str]) -> int:
        """Return the maximum number of codes: 0, one per level, and one for missing values."""
        return min(len(levels), self.most) + 2
