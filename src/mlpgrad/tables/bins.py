"""Numbers in bins, piecewise linear: between two edges a feature goes from 0 to 1."""

from __future__ import annotations

from typing import Self

import numpy as np

from mlpgrad._core.arguments import count
from mlpgrad._core.arrays import Array
from mlpgrad.tables.base import NumericEncoding, State, quantiles
from mlpgrad.tables.columns import Column
from mlpgrad.tables.tree import cuts

MOST_BINS = 4096
ROWS_AT_ONCE = 4096  # bounds the memory, and fits the cache


class _Bins(NumericEncoding):
    """A number x becomes e_t = clip((x - b_(t-1)) / (b_t - b_(t-1)), 0, 1), a feature a bin t."""

    median_where_missing = False

    def __init__(self, bins: int = 32) -> None:
        self.bins = count(bins, f"{type(self).__name__}: bins", 1, MOST_BINS)

    def edges(self, values: Array, target: Array | None, weights: Array) -> Array:
        """Sorted edges of the bins, each once."""
        raise NotImplementedError

    def learn_numbers(self, values: Array, target: Array | None, weights: Array) -> State:
        """The edges."""
        return {"edges": self.edges(values, target, weights) + 0.0}  # -0.0 becomes 0.0

    def parts(self, state: State) -> list[str]:
        """The upper edge of each bin but the last, whose lower edge is told."""
        edges = state["edges"]
        if len(edges) < 3:
            return [""] * (len(edges) - 1)
        return [f"<{edge:.6g}" for edge in edges[1:-1]] + [f">={edges[-2]:.6g}"]

    def write_numbers(self, values: Array, state: State, out: Array) -> None:
        """How far through each bin the numbers are."""
        edges = state["edges"]
        if len(edges) < 2:
            return
        low, widths = edges[:-1], np.diff(edges)
        for start in range(0, len(values), ROWS_AT_ONCE):
            rows = slice(start, start + ROWS_AT_ONCE)
            through = values[rows, None] - low
            through /= widths
            out[rows] = np.clip(through, 0, 1, out=through)

    def most_features(self, column: Column) -> int:
        """A bin lies between two different numbers."""
        there = column.numbers[~column.missing]
        bins = self.most_of(len(np.unique(there)))
        return max(min(self.bins, bins), 0) + int(there.size < len(column.numbers))

    def most_of(self, different: int) -> int:
        """How many bins a number of different values can need."""
        return different - 1

    @classmethod
    def example(cls) -> Self:
        return cls(4)


class QuantileBins(_Bins):
    """Piecewise-linear bins of about as many training rows each.

    With edges b_0 < b_1 < ... < b_T, a number x becomes T features,
    e_t = clip((x - b_(t-1)) / (b_t - b_(t-1)), 0, 1): 1 in the bins below it, 0 in those above, and
    in its own bin how far through it is. So the layer that follows sees a different slope in each
    bin. The edges are the quantiles t / T of the training rows; equal ones count once. Gorishniy,
    Rubachev and Babenko 2022, "On embeddings for numerical features in tabular deep learning".
    Numbers beyond the first and last edge are encoded as that edge. A gap has a bin of its own,
    where there were gaps in training, and else is the median.

    Parameters
    ----------
    bins : int, default 32
        How many bins, at most.

    Examples
    --------
    >>> from mlpgrad.tables import QuantileBins, TableEncoder
    >>> encoder = TableEncoder(numeric=QuantileBins(2))
    >>> encoder.fit_transform([[0.0], [1.0], [2.0], [4.0], [8.0]])
    array([[0.        , 0.        ],
           [0.5       , 0.        ],
           [1.        , 0.        ],
           [1.        , 0.33333334],
           [1.        , 1.        ]], dtype=float32)
    """

    def edges(self, values: Array, target: Array | None, weights: Array) -> Array:
        """The quantiles."""
        shares = np.arange(self.bins + 1) / self.bins
        return np.unique(quantiles(values, weights, shares))


class TargetBins(_Bins):
    """Piecewise-linear bins whose edges are where the target changes most.

    The features are those of `QuantileBins`; the edges are the thresholds of a regression tree
    on this column alone, which splits next where the squared error of the target falls most (for
    classes: the Gini impurity). Gorishniy, Rubachev and Babenko 2022, "On embeddings for numerical
    features in tabular deep learning".

    The edges have seen the target: rows that are to judge a model must not be among those that
    the encoder is fitted on. `Sequential(..., encoder=...)` sees to that.

    Parameters
    ----------
    bins : int, default 32
        How many bins, at most.
    least_rows : int, default 16
        Training rows in a bin, at least.

    Examples
    --------
    >>> import numpy as np
    >>> from mlpgrad.tables import TableEncoder, TargetBins
    >>> x = np.arange(10.0)
    >>> encoder = TableEncoder(numeric=TargetBins(2, least_rows=1)).fit({"size": x}, y=x > 2.9)
    >>> encoder.feature_names_out()
    ['size<2.5', 'size>=2.5']
    """

    sees_target = True

    def __init__(self, bins: int = 32, *, least_rows: int = 16) -> None:
        super().__init__(bins)
        self.least_rows = count(least_rows, "TargetBins: least_rows")

    def edges(self, values: Array, target: Array | None, weights: Array) -> Array:
        """The smallest number, the thresholds of the tree, the largest number."""
        low, high = values.min(), values.max()
        inner = np.empty(0)
        if target is not None and ((values != low) & (values != high)).any():
            inner = cuts(values, target, weights, self.bins, self.least_rows)
        return np.unique([low, *inner, high])

    def most_of(self, different: int) -> int:
        """Each number can be a leaf of the tree, except two numbers, which one bin tells apart."""
        return different - (different < 3)

    @classmethod
    def example(cls) -> Self:
        return cls(4, least_rows=2)
