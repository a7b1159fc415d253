"""Minibatches: rows in shuffled order, gathered into reused buffers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array

BLOCK_BYTES = 1 << 19  # gathered together: many small batches cost one gather, and fit the cache
SHUFFLED_AT_ONCE = 1 << 20  # rows: an epoch's order never takes more memory than this
RUN = 512  # consecutive rows that stay together in a larger set until they meet in the pool

Batch = tuple[Array, Array, Array | None]


class Minibatches:
    """Iterating once is an epoch: `(x, target, weights)` views, valid until the next one.

    Several batches are gathered at a time, so small batches of small data cost a slice each.
    Sets of up to a million rows are shuffled exactly. Larger ones (a memory-mapped file, say)
    are shuffled as runs of 512 rows, and then row by row in pools of 128 runs drawn from all
    over the set: no memory that grows with the data, and few jumps through the file.

    Parameters
    ----------
    arrays : list of array or None
        Input, target and weights, rows on axis -2.
    dtypes : list of dtype
        What the batches are cast to.
    rows : array of int, optional
        The rows to use; all by default.
    """

    def __init__(
        self,
        arrays: list[Array | None],
        dtypes: list[np.dtype[Any]],
        *,
        batch_size: int,
        shuffle: bool,
        rng: np.random.Generator,
        rows: Array | None = None,
    ) -> None:
        first = arrays[0]
        assert first is not None
        self.rows = rows
        self.samples = first.shape[-2] if rows is None else len(rows)
        self.batch_size = min(batch_size, self.samples)
        self.shuffle = shuffle
        self.rng = rng
        row_bytes = first.size // first.shape[-2] * dtypes[0].itemsize
        per_block = max(1, BLOCK_BYTES // (row_bytes * self.batch_size))
        self.block = min(per_block * self.batch_size, self.samples)
        self.buffers = [
            None if a is None else self._buffer(a, dtype)
            for a, dtype in zip(arrays, dtypes, strict=True)
        ]
        self.copies = [  # from where, gathered into which buffer, cast into which
            (array, out if array.dtype == out.dtype else self._buffer(array, array.dtype), out)
            for array, out in zip(arrays, self.buffers, strict=True)
            if array is not None and out is not None
        ]
        self.views: dict[int, list[Batch]] = {}

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for block in self.blocks():
            yield from block

    def blocks(self) -> Iterator[list[Batch]]:
        """An epoch as lists of batches that were gathered together: valid until the next list."""
        for order in self._orders():
            for start in range(0, len(order), self.block):
                rows = order[start : start + self.block]
                self._gather(rows if self.rows is None else self.rows[rows])
                yield self._split(len(rows))

    def _orders(self) -> Iterator[Array]:
        """The epoch's order of rows, in pieces of whole batches."""
        if self.samples <= SHUFFLED_AT_ONCE:
            order = np.arange(self.samples)
            if self.shuffle:
                self.rng.shuffle(order)
            yield order
            return
        runs = np.arange(0, self.samples, RUN)
        if self.shuffle:
            self.rng.shuffle(runs)
        leftover: Array = np.empty(0, runs.dtype)
        for first in range(0, len(runs), 128):
            pool = (runs[first : first + 128, None] + np.arange(RUN)).ravel()
            pool = np.concatenate([leftover, pool[pool < self.samples]])
            if self.shuffle:
                self.rng.shuffle(pool)
            last = first + 128 >= len(runs)
            whole = len(pool) if last else len(pool) // self.batch_size * self.batch_size
            leftover = pool[whole:]
            yield pool[:whole]

    def _gather(self, rows: Array) -> None:
        """Copy rows of every array into the front of its buffer."""
        part = np.s_[..., : len(rows), :]
        for array, uncast, buffer in self.copies:
            if not array.flags.c_contiguous:  # take would copy the whole array first
                buffer[part] = array[..., rows, :]
                continue
            array.take(rows, -2, uncast[part], "clip")  # clip: no check, no second copy
            if uncast is not buffer:
                buffer[part] = uncast[part]

    def _buffer(self, array: Array, dtype: np.dtype[Any]) -> Array:
        """Room for as many rows as are gathered together."""
        return np.empty((*array.shape[:-2], self.block, array.shape[-1]), dtype)

    def _split(self, count: int) -> list[Batch]:
        """Views of the first `count` gathered rows, a batch each, made once for each count."""
        if count not in self.views:
            starts = range(0, count, self.batch_size)
            parts: list[list[Any]] = [
                [b if b is None else b[..., s : min(s + self.batch_size, count), :] for s in starts]
                for b in self.buffers
            ]
            self.views[count] = list(zip(*parts, strict=True))
        return self.views[count]
