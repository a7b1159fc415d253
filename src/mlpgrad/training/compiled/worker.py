"""The compiled loop over batches, which `fit` runs instead of the loop over NumPy's steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.batches import Batch, Batches, Minibatches
from mlpgrad.training.compiled.blas import Blas
from mlpgrad.training.compiled.members import Member
from mlpgrad.training.compiled.numbers import numbers
from mlpgrad.training.compiled.operands import NotCoveredError, addresses
from mlpgrad.training.compiled.program import Program, steps_made
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.threads import threads
from mlpgrad.training.worker import Worker

WORK = 1 << 28
"""The most rows times parameters in a call of several epochs: some hundredths of a second."""


class _Rows(NamedTuple):
    """Batches, given by arrays and by the indices of their rows."""

    arrays: Sequence[Array | None]
    order: Array
    size: int

    def batch(self, number: int) -> Any:
        """Return one of the batches."""
        own = self.order[number * self.size : (number + 1) * self.size]
        return tuple(None if array is None else array[..., own, :] for array in self.arrays)


class CompiledWorker(Worker):
    """A worker with compiled steps for full batches; smaller batches use NumPy's step.

    Attributes
    ----------
    refused : str or None
        The reason why the step could not be compiled, so that all steps are NumPy's.
    """

    def __init__(self, network: Network, optimizer: Optimizer, step: RecordedStep) -> None:
        super().__init__(network, optimizer, step)
        self.step: RecordedStep = step
        self.refused: str | None = None
        self._several = network.ensemble_size is not None
        self._size = network.ensemble_size or 1
        self._program: Program | None = None
        self._pool: ThreadPoolExecutor | None = None

    def epoch(self, batches: Batches, seen: int) -> None:
        """Train on the batches of an epoch that have not been seen yet."""
        assert isinstance(batches, Minibatches)
        if seen or self.refused is not None:
            super().epoch(batches, seen)
            return
        for block in batches.blocks():
            whole = self._whole(block, batches.batch_size) if self._ready(block[0]) else 0
            if whole:
                order = np.arange(whole * batches.batch_size)
                rows = _Rows(batches.buffers, order, batches.batch_size)
                self._count(rows, self._train(rows, whole), whole)
            rest = block[whole:]
            if rest and self.diverged_at is None and not self._stopped():
                self.run(rest)
            if self.diverged_at is not None or self._stopped():
                return

    def _whole(self, block: Sequence[Batch], size: int) -> int:
        """Return how many batches are compiled: not smaller ones, nor the last of an ensemble."""
        smaller = block[-1][0].shape[-2] < size
        return len(block) - (self._several or smaller)  # the layers then hold NumPy's last step

    def epochs(self, batches: Batches, most: int) -> Iterator[bool]:
        """Train for several epochs of full batches in one call; then yield for each of them."""
        assert isinstance(batches, Minibatches)
        bound = WORK // (batches.samples * max(1, self.network.params.size))
        count, steps = min(most, batches.epochs_at_once, max(1, bound)), len(batches)
        ready = self._program is not None and not self.step._noticed and not self._several
        if count == 1 or self.batches or not ready:
            self.epoch(batches, self.batches)
            yield False
            return
        rows = _Rows(*batches.several(count), batches.batch_size)
        losses = self._train(rows, count * steps)
        for start in range(0, count * steps, steps):
            if start:
                self.begin()
            last = losses.shape[1] <= start + steps
            self._count(rows, losses[:, start : start + steps], steps, start, looks=last)
            yield True
            if self.diverged_at is not None:
                return
        self._stopped()

    def _ready(self, batch: Batch) -> bool:
        """Compile steps on such batches if necessary; return whether they are compiled."""
        # an option that another thread has just assigned takes effect in the layers at once
        if self.step._noticed:
            return False
        if self._program is None and self.refused is None:
            self._compile(batch)
        return self._program is not None

    def _stopped(self) -> bool:
        return bool(self.network._attention and self._attend())

    def refresh(self) -> None:
        """Detect options that have changed since the step was compiled."""
        watched = self.step._watched
        self.step.refresh()
        replaced = self._program is not None and any(
            a is not b for a, b in zip(self._member.moved_to(), self._arrays, strict=True)
        )
        if self.step._watched is not watched or replaced:
            self._program = None

    def _compile(self, batch: Batch) -> None:
        """Record and compile the step; if that fails, all further steps are NumPy's."""
        self.optimizer.prepare(self.network.params, self.network.grads)
        try:
            member = Member(self.network, self.optimizer, batch, self.step.mean_weight)
            self._program = Program(member.tapes, Blas.found())
        except NotCoveredError as error:
            self.refused = f"{error} is not compiled"
            vars(self.network)["compiled_because"] = self.refused
            return
        self._member, self._arrays = member, member.moved_to()
        count = min(threads(), self._size)
        bounds = [self._size * i // count for i in range(count + 1)]
        self._shares = [range(a, b) for a, b in itertools.pairwise(bounds)]
        self._alive: list[Any] = []
        tables = []
        for share in self._shares:
            buffers: dict[int, Array] = {}
            for index in share:
                table, alive = self._program.table(member.place(index, buffers))
                tables.append(table)
                self._alive.append(alive)
        self._tables = np.array(tables)

    # the copy of sane weights

    def _knowledge(self) -> Array:
        """Return `LastSane` as the compiled loop reads and writes it, a row for each member."""
        last, table = self.last_sane, np.empty((self._size, 4))
        values = math.nan if last.mean is None else last.mean, last.lowest, last.bound, last.known
        for column, value in enumerate(values):
            table[:, column] = value
        return table

    def _learn(self, rows: Array) -> None:
        """Store the results of the compiled loop in `LastSane`."""
        values = list(rows.T) if self._several else rows[0].tolist()
        last = self.last_sane
        last.mean, last.lowest, last.bound, known = values
        last.known = known > 0

    # training

    def _train(self, rows: _Rows, count: int) -> Array:
        """Make steps, up to the first whose loss is not finite.

        Returns
        -------
        losses : array (members, steps made)
        """
        size, program = self._size, self._program
        assert program is not None
        losses, sane = np.empty((size, count)), self._knowledge()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scalars = self._numbers(count)
        data = [addresses(a, size, shared=a.ndim == 2) for a in rows.arrays if a is not None]
        order = np.broadcast_to(rows.order.astype(np.int64), (size, len(rows.order)))
        copies = [
            addresses(a, size) for a in (self.last_sane.params, self.last_sane.state) if a.size
        ]
        pointers = np.stack(data, axis=-1), order, scalars, losses, sane, np.stack(copies, axis=-1)
        arrays, before = (self._tables, *pointers), self.earlier + self.batches

        def train(share: range) -> None:
            own = slice(share.start, share.stop)
            program.run([array[own] for array in arrays], count, before)

        self._in_threads(train)
        self._learn(sane)
        self._show()
        return losses[:, : steps_made(losses)]

    def _count(
        self, rows: _Rows, losses: Array, count: int, first: int = 0, looks: bool = True
    ) -> None:
        """Sum the losses of `count` steps, if that many were made, and detect divergence."""
        done = losses.shape[1]
        self.optimizer.steps += done
        sums = losses.sum(axis=-1) * rows.size
        self.total = self.total + (sums if self._several else float(sums[0]))
        self.weight += rows.size * done
        if done < count:
            self.diverged_at = self.batches + done
            with np.errstate(all="ignore"):  # repeated so that its numbers can be examined
                x, target, weights = rows.batch(first + done)
                self.network._step(x, target, weights, self.step.mean_weight)
        elif looks and not np.isfinite(self.network.params).all():
            self.diverged_at = self.batches + count - 1
        self.batches += min(done + 1, count)

    def _numbers(self, count: int) -> Array:
        """Return the scalars of the next steps, of shape (members, count, scalars)."""
        optimizer, dtype = self.optimizer, self.network.dtype
        if np.size(optimizer._rate(optimizer.steps)) == 1:
            alike = numbers(optimizer, optimizer.steps, count, dtype)
            return np.broadcast_to(alike, (self._size, *alike.shape))
        one, found = self._member.rule, []
        for rate in np.asarray(optimizer._learning_rate).flat:
            one._learning_rate = float(rate)
            found.append(numbers(one, optimizer.steps, count, dtype))
        return np.array(found)

    def _in_threads(self, train: Any) -> None:
        """Call `train` with each share of the members, the first of them in this thread."""
        first, *others = self._shares
        if others and self._pool is None:
            self._pool = ThreadPoolExecutor(len(others))
        running = [self._pool.submit(train, share) for share in others] if self._pool else []
        try:
            train(first)
        finally:
            for future in running:
                future.result()

    def _show(self) -> None:
        """Let the layers hold the last step; those of an ensemble hold its last batch."""
        self.step._shown = False
        layers = [layer for _, layer in walk(self.network.layers)]
        shown = self._member.shown(len(layers))
        for layer, seen in zip(layers, shown, strict=True):
            layer._inputs, layer._outputs, layer._delta = seen

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
