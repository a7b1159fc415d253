"""Piecewise-linear binning of numbers: a feature rises from 0 to 1 between two edges."""

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
    """Encode x as e_t = clip((x - b_(t-1)) / (b_t - b_(t-1)), 0, 1), one feature per bin t."""

    median_where_missing = False

    def __init__(self, bins: int = 32) -> None:
        self.bins = count(bins, f"{type(self).__name__}: bins", 1, MOST_BINS)

    def edges(self, values: Array, target: Array | None, weights: Array) -> Array:
        """Return the sorted, distinct edges of the bins."""
        raise NotImplementedError

    def learn_numbers(self, values: Array, target: Array | None, weights: Array) -> State:
        """Learn the edges."""
        return {"edges": self.edges(values, target, weights) + 0.0}  # -0.0 becomes 0.0

    def is_sound(self, state: State) -> bool:
        """Return whether a state from a file has edges, no more of them than there can be."""
        return super().is_sound(state) and np.size(state["edges"]) <= self.bins + 1

    def parts(self, state: State) -> list[str]:
        """Return names with the upper edge of each bin, for the last bin with the lower edge."""
        edges = state["edges"]
        if len(edges) < 3:
            return [""] * (len(edges) - 1)
        return [f"<{edge:.6g}" for edge in edges[1:-1]] + [f">={edges[-2]:.6g}"]

    def write_numbers(self, values: Array, state: State, out: Array) -> None:
        """Write the position of the numbers in each bin."""
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
        """Return the maximum number of bins, each of which lies between two distinct numbers."""
        there = column.numbers[~column.missing]
        bins = self.most_of(len(np.unique(there)))
        return max(min(self.bins, bins), 0) + int(there.size < len(column.numbers))

    def most_of(self, different: int) -> int:
        """Return the maximum number of bins for a number of distinct values."""
        return different - 1

    @classmethod
    def example(cls) -> Self:
        return cls(4)


class QuantileBins(_Bins):
    """Piecewise-linear encoding with bins of about equally many training rows.

    With edges b_0 < b_1 < ... < b_T, a number x becomes T features, e_t = clip((x - b_(t-1)) /
    (b_t - b_(t-1)), 0, 1): 1 for the bins below x, 0 for those above, and in the bin of x its
    relative position. The following layer can thus have a different slope in each bin. The edges
    are the quantiles t / T of the training rows, without duplicates. Gorishniy, Rubachev and
    Babenko 2022, "On embeddings for numerical features in tabular deep learning". Numbers beyond
    the first or last edge are encoded as that edge. A missing value has its own feature if there
    were missing values in training; otherwise it is encoded as the median.

    Parameters
    ----------
    bins : int, default 32
        Maximum number of bins.

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
        """Return the quantiles."""
        shares = np.arange(self.bins + 1) / self.bins
        return np.unique(quantiles(values, weights, shares))


class TargetBins(_Bins):
    """Piecewise-linear encoding whose bin edges are where the target changes most.

    The features are those of `QuantileBins`; the edges are the thresholds of a regression tree on
    this column alone, grown by the split with the largest decrease of the squared error of the
    target (for classes, of the Gini impurity). Gorishniy, Rubachev and Babenko 2022, "On
    embeddings for numerical features in tabular deep learning".

    The edges depend on the target, so the encoder must not be fitted on rows that are used to
    evaluate a model. `Sequential(..., encoder=...)` ensures this.

    Parameters
    ----------
    bins : int, default 32
        Maximum number of bins.
    least_rows : int, default 16
        Minimum number of training rows in a bin.

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
        """Return the smallest number, the thresholds of the tree and the largest number."""
        low, high = values.min(), values.max()
        inner = np.empty(0)
        if target is not None and ((values != low) & (values != high)).any():
            inner = cuts(values, target, weights, self.bins, self.least_rows)
        return np.unique([low, *inner, high])

    def most_of(self, different: int) -> int:
        """Return the number of distinct values, each of which can be a leaf; 1 for two values."""
        return different - (different < 3)

    @classmethod
    def example(cls) -> Self:
        return cls(4, least_rows=2)
