"""Minibatches of arrays and of sparse matrices, in scikit-learn's random order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training.batches import Batches, Minibatches
from mlpgrad.training.rows import Batch


class Order:
    """The order of the rows, which shuffles that of the epoch before.

    A batch of all rows keeps their order, since another would change the sums over its rows by
    rounding only. The random numbers are drawn nevertheless.

    Attributes
    ----------
    rows : array of int
        The order of this epoch.
    first : int
        The place in it at which the batches begin that are iterated over.
    """

    def __init__(
        self, samples: int, batch_size: int, shuffle: bool, random_state: np.random.RandomState
    ) -> None:
        self.rows, self.first = np.arange(samples), 0
        self.shuffle, self.random_state = shuffle, random_state
        self._whole = batch_size >= samples

    def draw(self) -> None:
        """Draw the order of the next epoch."""
        self.first = 0
        if self.shuffle:
            places = np.arange(len(self.rows))
            self.random_state.shuffle(places)
            if not self._whole:
                self.rows = self.rows[places]

    @property
    def left(self) -> Array:
        """The rows of this epoch from `first` on."""
        return self.rows[self.first :]


class DenseBatches(Minibatches):
    """Minibatches of arrays: inputs, targets, and weights or None."""

    def __init__(self, data: Batch, dtypes: list[np.dtype[Any]], size: int, order: Order) -> None:
        unused = np.random.default_rng(0)
        super().__init__(data, dtypes, batch_size=size, shuffle=order.shuffle, rng=unused)
        self.order_of_epoch = order

    @property
    def whole(self) -> bool:
        """Whether a batch has all rows, in their order."""
        return self.batch_size == self.samples

    def blocks(self) -> Iterator[list[Batch]]:
        """Yield the batches of an epoch in lists, without a copy if that is one batch."""
        return iter([[self.arrays]]) if self.whole and self.direct else super().blocks()

    def _orders(self) -> Iterator[Array]:
        yield self.order_of_epoch.left


class SparseBatches(Batches):
    """Minibatches of a SciPy matrix in CSR form, never made dense, with targets and weights."""

    batch_size: int
    samples: int

    def __init__(self, data: Batch, size: int, order: Order) -> None:
        self.data, self.order_of_epoch = data, order
        self.samples = data[0].shape[0]
        self.batch_size = min(size, self.samples)

    def blocks(self) -> Iterator[list[Batch]]:
        x, target, weights = self.data
        order = self.order_of_epoch.left
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            yield [(x[rows], target[rows], None if weights is None else weights[rows])]


def batches_of(data: Batch, size: int, order: Order, *, sparse: bool) -> Batches:
    """Return the minibatches of checked data, in the dtypes of the network."""
    if sparse:
        return SparseBatches(data, size, order)
    return DenseBatches(data, [(data[0] if a is None else a).dtype for a in data], size, order)
