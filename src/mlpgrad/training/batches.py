"""Minibatches: rows in shuffled order, gathered into reused buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.stateful import Stateful, generator_state, restore_generator
from mlpgrad.metrics import Metric
from mlpgrad.network.network import Network
from mlpgrad.training.communicator import Communicator, summed
from mlpgrad.training.record import Record

BLOCK_BYTES = 1 << 19  # gathered together: many small batches cost one gather, and fit the cache
SHUFFLED_AT_ONCE = 1 << 20  # rows: an epoch's order never takes more memory than this
ROWS_SEEN = 1024  # that `sample` gives, at most
RUN = 512  # consecutive rows that stay together in a larger set until they meet in the pool

Batch = tuple[Array, Array, Array | None]


class Batches(Stateful):
    """What an epoch consists of: iterating once is an epoch of `(x, target, weights)`.

    A batch is valid until the next one. A subclass implements `blocks`.
    """

    batch_size: int | None = None
    """Samples of a batch, except a shorter last one; None where it is not known."""
    samples: int | None = None
    """Samples of an epoch; None where it is not known."""
    count: int | None = None
    """Batches of an epoch; None where it is not known."""
    largest: int | None = None
    """Samples of the largest batch so far; None where it is not known."""

    def blocks(self) -> Iterator[list[Batch]]:
        """An epoch as lists of batches that are valid together, until the next list."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Batch]:
        for block in self.blocks():
            yield from block

    def after(self, seen: int) -> Iterator[list[Batch]]:
        """The lists of an epoch of which `seen` batches have been used already."""
        for block in self.blocks():
            yield block[seen:]
            seen = max(0, seen - len(block))

    def sample(self) -> Batch | None:
        """Some of the training rows, checked and cast: for a look at them. None if unknown."""
        return None

    def rewind(self) -> None:
        """Forget the position that `restore` has put back: the next epoch begins at its start."""

    def conclude(self, network: Network, metrics: Sequence[Metric] | None, record: Record) -> None:
        """Write down what a training has left to be said of its rows: nothing, by default."""

    def mean_weight(self, communicator: Communicator | None = None) -> Any:
        """What a training step divides weights by: 1, so that they count as they are given.

        A number, or `(E, 1, 1)`. The steps of several ranks divide by the same.
        """
        return 1.0


class Minibatches(Batches):
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
    cast : callable, optional
        Turns some rows of the target, as they are, into those that the loss takes.
    sample_weight : array, optional
        What the rows that are not used weigh: without the weights of classes.
    """

    kept: tuple[str, ...] = ("rows", "order", "begun")
    batch_size: int
    samples: int

    def __init__(
        self,
        arrays: Sequence[Array | None],
        dtypes: list[np.dtype[Any]],
        *,
        batch_size: int,
        shuffle: bool,
        rng: np.random.Generator,
        rows: Array | None = None,
        cast: Callable[[Array], Array] | None = None,
        sample_weight: Array | None = None,
    ) -> None:
        first = arrays[0]
        assert first is not None
        self.rows, self.sample_weight, self.cast = rows, sample_weight, cast
        self.samples = first.shape[-2] if rows is None else len(rows)
        self.batch_size = self.largest = min(batch_size, self.samples)
        self.count = len(self)
        self.shuffle = shuffle
        self.rng = rng
        self.order: Array | None = None  # of the rows in this epoch, where it is known at once
        self.begun: dict[str, Any] = {}  # the generator's state before a larger set's epoch
        self.resumes = False
        row_bytes = first.size // first.shape[-2] * dtypes[0].itemsize
        per_block = max(1, BLOCK_BYTES // (row_bytes * self.batch_size)) * self.batch_size
        self.dtypes = dtypes
        self.arrays: Batch = tuple(arrays)  # type: ignore[assignment]
        whole = self.samples % self.batch_size == 0
        self.epochs_at_once = max(1, per_block // self.samples) if whole else 1
        self._make_room(min(per_block, self.samples))

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def _make_room(self, block: int) -> None:
        """Make the buffers, for as many rows as are gathered together."""
        self.block = block
        self.buffers = [
            None if array is None else self._buffer(array, dtype)
            for array, dtype in zip(self.arrays, self.dtypes, strict=True)
        ]
        self.copies: list[tuple[Array, Array, Array, Callable[[Array], Array] | None]] = []
        for array, out, how in zip(self.arrays, self.buffers, (None, self.cast, None), strict=True):
            if array is not None and out is not None:
                alike = array.dtype == out.dtype and how is None
                # from where, gathered into which buffer, cast into which, and how
                uncast = out if alike else self._buffer(array, array.dtype)
                self.copies.append((array, uncast, out, how))
        self.views: dict[int, list[Batch]] = {}

    def blocks(self) -> Iterator[list[Batch]]:
        """An epoch as lists of batches that are gathered together."""
        for order in self._orders():
            for start in range(0, len(order), self.block):
                rows = order[start : start + self.block]
                self._gather(rows if self.rows is None else self.rows[rows])
                yield self._split(len(rows))

    def gather_epochs(self, count: int) -> None:
        """Gather the next epochs, one after the other.

        There may be up to `epochs_at_once`: so many fit into what is gathered together anyway,
        and none of them ends with a shorter batch.
        """
        if self.block < count * self.samples:
            self._make_room(self.epochs_at_once * self.samples)
        rows = np.concatenate([order for _ in range(count) for order in self._orders()])
        self._gather(rows if self.rows is None else self.rows[rows])

    def _orders(self) -> Iterator[Array]:
        """The epoch's order of rows, in pieces of whole batches."""
        if self.samples <= SHUFFLED_AT_ONCE:
            if self.order is None or not self.resumes:
                self.order = np.arange(self.samples)
                if self.shuffle:
                    self.rng.shuffle(self.order)
            self.resumes = False
            yield self.order
            return
        if self.resumes:
            restore_generator(self.rng, self.begun)
        self.resumes, self.begun = False, generator_state(self.rng)
        yield from self._pools()

    def _pools(self) -> Iterator[Array]:
        """The order of a large set: runs of rows, mixed in pools."""
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

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Put back rows and position: the next epoch is what was left of the one begun."""
        super().restore(snapshot)
        self.resumes = True

    def rewind(self) -> None:
        self.resumes = False

    def sample(self) -> Batch:
        rows = self._some_rows(ROWS_SEEN)
        x, target, weights = self.buffers
        assert x is not None
        assert target is not None
        inputs, labels, given = _take(self.arrays, rows)
        labels = labels.astype(target.dtype, copy=False) if self.cast is None else self.cast(labels)
        if given is not None and weights is not None:
            given = given.astype(weights.dtype, copy=False)
        return inputs.astype(x.dtype, copy=False), labels, given

    def _some_rows(self, count: int) -> Array:
        """At most so many rows that are trained on, from all over the data."""
        rows = np.arange(0, self.samples, -(-self.samples // count))
        return rows if self.rows is None else self.rows[rows]

    def data(self) -> Batch:
        """All training rows: `rows` of the arrays, or the arrays themselves."""
        if self.rows is None:
            return self.arrays
        return _take(self.arrays, self.rows)

    def trained(self) -> tuple[Any, Any, Any]:
        """All training rows, gathered when they are sliced; without a copy."""
        if self.rows is None:
            return self.arrays
        x, target, weights = (None if a is None else Rows(a, self.rows) for a in self.arrays)
        return x, target, weights

    def held_out(self) -> Batch:
        """Copies of all rows that are not among `rows`, in the order of the data."""
        assert self.rows is not None
        everyone = np.arange(self.arrays[0].shape[-2])
        others = np.setdiff1d(everyone, self.rows, assume_unique=True)
        return _take((*self.arrays[:2], self.sample_weight), others)

    def mean_weight(self, communicator: Communicator | None = None) -> Any:
        """The mean weight of all rows that are trained on, on all ranks: 1 without weights."""
        given = self.arrays[2] is not None
        total, rows = self._weight_and_rows()
        if communicator is None:
            return total / rows if given else 1.0
        total, rows, ranks = summed(communicator, total, rows, given)
        if (ranks != given * communicator.size).any():
            raise ValueError(
                "some ranks have sample weights and others have none; give them to all ranks"
            )
        return total / rows if given else 1.0

    def _weight_and_rows(self) -> tuple[Array, Any]:
        """The sum of the weights of all rows that are trained on, and their number."""
        weights = self.arrays[2]
        if weights is None:
            return np.full((1, 1), self.samples), self.samples
        weights = weights if self.rows is None else weights.take(self.rows, axis=-2)
        return weights.sum(axis=-2, keepdims=True, dtype=np.float64), self.samples

    def _gather(self, rows: Array) -> None:
        """Copy rows of every array into the front of its buffer."""
        part = np.s_[..., : len(rows), :]
        for array, uncast, buffer, cast in self.copies:
            if not array.flags.c_contiguous:  # take would copy the whole array first
                uncast[part] = array[..., rows, :]
            else:
                array.take(rows, -2, uncast[part], "clip")  # clip: no check, no second copy
            if uncast is not buffer:
                buffer[part] = uncast[part] if cast is None else cast(uncast[part])

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


def _take(data: Batch, rows: Array) -> Batch:
    """Copies of some rows."""
    x, target, weights = data
    weights = None if weights is None else weights.take(rows, axis=-2)
    return x.take(rows, axis=-2), target.take(rows, axis=-2), weights


class Rows:
    """Some rows of an array, gathered when they are sliced: a file is never read whole."""

    def __init__(self, array: Array, rows: Array) -> None:
        self.array, self.rows = array, rows
        self.shape = (*array.shape[:-2], len(rows), array.shape[-1])
        self.ndim, self.dtype = array.ndim, array.dtype

    def __getitem__(self, part: Any) -> Array:
        """The rows of a slice `[..., start:stop:step, :]`."""
        return self.array[..., self.rows[part[-2]], :]
