"""Minibatches: shuffled rows, gathered into reused buffers."""

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
from mlpgrad.training.rows import Batch, Rows, take

BLOCK_BYTES = 1 << 19  # gathered at once: one gather for many small batches, which fit the cache
SHUFFLED_AT_ONCE = 1 << 20  # rows: an epoch's order never takes more memory than this
SEVERAL = 1 << 16  # rows of several epochs whose order is made at once
ROWS_SEEN = 1024  # that `sample` returns, at most
RUN = 512  # consecutive rows that stay together in a larger set until they meet in the pool


class Batches(Stateful):
    """The batches of an epoch: one iteration yields `(x, target, weights)` for each batch.

    A batch is valid until the next one. A subclass implements `blocks`.
    """

    batch_size: int | None = None
    """Samples per batch, except for a smaller last one; None if not known."""
    samples: int | None = None
    """Samples per epoch; None if not known."""
    count: int | None = None
    """Batches per epoch; None if not known."""
    largest: int | None = None
    """Samples of the largest batch so far; None if not known."""

    def blocks(self) -> Iterator[list[Batch]]:
        """Yield the batches of an epoch in lists, which are valid until the next list."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Batch]:
        for block in self.blocks():
            yield from block

    def after(self, seen: int) -> Iterator[list[Batch]]:
        """Yield the lists of an epoch without its first `seen` batches."""
        for block in self.blocks():
            yield block[seen:]
            seen = max(0, seen - len(block))

    def sample(self) -> Batch | None:
        """Return some of the training rows, checked and cast, for inspection; None if not known."""
        return None

    def rewind(self) -> None:
        """Forget the position set by `restore`, so that the next epoch begins at its start."""

    def conclude(self, network: Network, metrics: Sequence[Metric] | None, record: Record) -> None:
        """Record results about the training rows at the end of a training: none by default."""

    def mean_weight(self, communicator: Communicator | None = None) -> Any:
        """Return the divisor of the weights in a training step: 1 leaves the weights as given.

        It is a number, or an array `(E, 1, 1)`, and the same on all ranks.
        """
        return 1.0


class Minibatches(Batches):
    """Minibatches of arrays, as views `(x, target, weights)` that are valid until the next.

    Several batches are gathered at a time, so that a small batch of small data costs only a slice.
    Data of up to a million rows are shuffled exactly. Larger data (a memory-mapped file, for
    example) are shuffled in runs of 512 rows, and then row by row in pools of 128 runs from random
    places: the memory needed does not grow with the data, and the file is read with few seeks.

    Parameters
    ----------
    arrays : list of array or None
        Input, target and weights, rows on axis -2.
    dtypes : list of dtype
        The types to which the batches are cast.
    rows : array of int, optional
        The rows to use; all by default.
    cast : callable, optional
        Converts rows of the target as given to the form that the loss takes.
    sample_weight : array, optional
        Weights of the held-out rows, without class weights.
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
        self.order: Array | None = None  # the rows of this epoch, if drawn as a whole
        self.begun: dict[str, Any] = {}  # the generator's state before a larger set's epoch
        self.resumes = False
        row_bytes = first.size // first.shape[-2] * dtypes[0].itemsize
        per_block = max(1, BLOCK_BYTES // (row_bytes * self.batch_size)) * self.batch_size
        self.dtypes = dtypes
        self.arrays: Batch = tuple(arrays)  # type: ignore[assignment]
        whole = self.samples % self.batch_size == 0
        self._make_room(min(per_block, self.samples))
        at_once = SEVERAL if self.direct else per_block
        self.epochs_at_once = max(1, at_once // self.samples) if whole else 1

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
                # source, buffer to gather into, buffer to cast into, function that casts
                uncast = out if alike else self._buffer(array, array.dtype)
                self.copies.append((array, uncast, out, how))
        self.views: dict[int, list[Batch]] = {}

    def blocks(self) -> Iterator[list[Batch]]:
        """Yield the batches of an epoch in lists that are gathered together."""
        for order in self._orders():
            for start in range(0, len(order), self.block):
                rows = order[start : start + self.block]
                self._gather(rows if self.rows is None else self.rows[rows])
                yield self._split(len(rows))

    def gathered(self, rows: Array) -> list[Batch]:
        """Return the batches of some rows, at most `block`, in the buffers."""
        self._gather(rows)
        return self._split(len(rows))

    @property
    def direct(self) -> bool:
        """Whether rows can be read from the arrays in place, since none of them is cast."""
        return all(a.flags.c_contiguous and uncast is out for a, uncast, out, _ in self.copies)

    def several(self, count: int) -> tuple[Batch, Array]:
        """Return several epochs of full batches, `epochs_at_once` of them at most.

        Returns
        -------
        arrays : tuple (input, target, weights)
        order : array of int
            Their rows in the order of the batches, one epoch after the other.
        """
        order = self._inside(np.concatenate([o for _ in range(count) for o in self._orders()]))
        if self.direct:
            return self.arrays, order
        if self.block < len(order):
            self._make_room(self.epochs_at_once * self.samples)
        self._gather(order)
        return tuple(self.buffers), np.arange(len(order))  # type: ignore[return-value]

    def orders(self) -> Iterator[Array]:
        """Yield the rows of an epoch in the arrays, in pieces of whole batches."""
        yield from map(self._inside, self._orders())

    def _inside(self, order: Array) -> Array:
        """Return the rows of the arrays for an order, within the arrays whatever it holds."""
        rows = order if self.rows is None else self.rows[order]
        return rows.clip(0, self.arrays[0].shape[-2] - 1)

    def _orders(self) -> Iterator[Array]:
        """Yield the epoch's order of the training rows."""
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
        """Yield the order of rows of large data: runs of rows, shuffled in pools."""
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
            if whole:  # a batch may be larger than a pool
                yield pool[:whole]

    def snapshot(self) -> dict[str, Any]:
        return super().snapshot() | {"extent": self._extent()}

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the order and the position: the next epoch is the rest of the interrupted one."""
        taken, own = dict(snapshot), self._extent()
        before = taken.pop("extent", own)
        if list(before) != own:
            raise ValueError(
                f"resume expects the data of the earlier training, {before[0]} rows of which "
                f"{before[1]} are trained on, got {own[0]} and {own[1]}; give the same rows and "
                "the same split"
            )
        super().restore(taken)
        self.resumes = True

    def _extent(self) -> list[int]:
        """Return the number of rows, and of those that are trained on."""
        return [self.arrays[0].shape[-2], self.samples]

    def rewind(self) -> None:
        self.resumes = False

    def sample(self) -> Batch:
        rows = self._some_rows(ROWS_SEEN)
        x, target, weights = self.buffers
        assert x is not None
        assert target is not None
        inputs, labels, given = take(self.arrays, rows)
        labels = labels.astype(target.dtype, copy=False) if self.cast is None else self.cast(labels)
        if given is not None and weights is not None:
            given = given.astype(weights.dtype, copy=False)
        return inputs.astype(x.dtype, copy=False), labels, given

    def _some_rows(self, count: int) -> Array:
        """Return at most `count` training rows, spread over the data."""
        rows = np.arange(0, self.samples, -(-self.samples // count))
        return rows if self.rows is None else self.rows[rows]

    def data(self) -> Batch:
        """Return all training rows: `rows` of the arrays, or the arrays themselves."""
        if self.rows is None:
            return self.arrays
        return take(self.arrays, self.rows)

    def trained(self) -> tuple[Any, Any, Any]:
        """Return all training rows without a copy; they are gathered when sliced."""
        if self.rows is None:
            return self.arrays
        x, target, weights = (None if a is None else Rows(a, self.rows) for a in self.arrays)
        return x, target, weights

    def held_out(self) -> Batch:
        """Return copies of all rows that are not among `rows`, in the order of the data."""
        assert self.rows is not None
        everyone = np.arange(self.arrays[0].shape[-2])
        others = np.setdiff1d(everyone, self.rows, assume_unique=True)
        return take((*self.arrays[:2], self.sample_weight), others)

    def mean_weight(self, communicator: Communicator | None = None) -> Any:
        """Return the mean weight of the training rows of all ranks; 1 without weights."""
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
        """Return the sum of the weights of the training rows, and their number."""
        weights = self.arrays[2]
        if weights is None:
            return np.full((1, 1), self.samples), self.samples
        weights = weights if self.rows is None else weights.take(self.rows, axis=-2)
        return weights.sum(axis=-2, keepdims=True, dtype=np.float64), self.samples

    def _gather(self, rows: Array) -> None:
        """Copy rows of every array to the start of its buffer."""
        part = np.s_[..., : len(rows), :]
        for array, uncast, buffer, cast in self.copies:
            if not array.flags.c_contiguous:  # take would copy the whole array first
                uncast[part] = array[..., rows, :]
            else:
                array.take(rows, -2, uncast[part], "clip")  # clip: no check, no second copy
            if uncast is not buffer:
                values = uncast[part] if cast is None else cast(uncast[part])
                if values.ndim > buffer.ndim:  # members have come to scale their targets apart
                    buffer = self._for_members(buffer, len(values))
                buffer[part] = values

    def _for_members(self, buffer: Array, members: int) -> Array:
        """Replace a buffer by one with a leading axis of members."""
        wider = np.empty((members, *buffer.shape), buffer.dtype)
        self.buffers = [wider if own is buffer else own for own in self.buffers]
        self.copies = [(a, u, wider if own is buffer else own, c) for a, u, own, c in self.copies]
        self.views = {}
        return wider

    def _buffer(self, array: Array, dtype: np.dtype[Any]) -> Array:
        """Return a buffer for as many rows as are gathered at once."""
        return np.empty((*array.shape[:-2], self.block, array.shape[-1]), dtype)

    def _split(self, count: int) -> list[Batch]:
        """Return views of the first `count` gathered rows by batch, made once per count."""
        if count not in self.views:
            starts = range(0, count, self.batch_size)
            parts: list[list[Any]] = [
                [b if b is None else b[..., s : min(s + self.batch_size, count), :] for s in starts]
                for b in self.buffers
            ]
            self.views[count] = list(zip(*parts, strict=True))
        return self.views[count]
