"""The compiled loop over batches, which `fit` runs instead of the loop over NumPy's steps."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.memory import addresses
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.optimizers.scalars import scalars_ahead
from mlpgrad.training.batches import Batches, Minibatches
from mlpgrad.training.compiled.operands import NotCoveredError
from mlpgrad.training.compiled.program import Program, steps_made
from mlpgrad.training.compiled_member import Member
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.rows import Batch
from mlpgrad.training.threads import split, threads, together
from mlpgrad.training.worker import Worker

WORK = 1 << 30
"""The most rows times parameters in a call: some hundredths of a second."""


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
        self._alive: list[Any] = []
        self._pool = ThreadPoolExecutor(threads())

    def epoch(self, batches: Batches, seen: int) -> None:
        """Train on the batches of an epoch that have not been seen yet."""
        assert isinstance(batches, Minibatches)
        if seen or self.refused is not None:
            super().epoch(batches, seen)
            return
        for train in self._portions(batches):
            train()
            if self.diverged_at is not None or self._stopped():
                break
        self._check()

    def _portions(self, batches: Minibatches) -> Iterator[Callable[[], None]]:
        """Yield what trains on the parts of an epoch, by compiled steps or NumPy's."""
        size = batches.batch_size
        if not batches.direct:
            for block in batches.blocks():
                rows = sum(batch[0].shape[-2] for batch in block)
                whole = self._whole(rows, size, block[0])
                if whole:
                    order = np.arange(whole * size).reshape(whole, size)
                    yield functools.partial(self._make, batches.buffers, order)
                if rest := block[whole:]:
                    yield functools.partial(self.run, rest)
            return
        some = max(1, WORK // (size * max(1, self.network.params.size)))
        for order in batches.orders():
            first = None if self._program else batches.gathered(order[:size])[0]
            whole = self._whole(len(order), size, first)
            steps, done = order[: whole * size].reshape(whole, size), 0
            while done < whole and not self.step._noticed:
                yield functools.partial(self._make, batches.arrays, steps[done : done + some])
                done = min(done + some, whole)
            for start in range(done * size, len(order), size):
                rest = batches.gathered(order[start : start + size])
                yield functools.partial(self.run, rest)

    def _make(self, arrays: Sequence[Any], order: Array) -> None:
        """Make compiled steps on some rows (steps, rows of a batch), and sum their losses."""
        self._count(self._train(arrays, order), order.shape[1], len(order))

    def _whole(self, rows: int, size: int, first: Batch | None) -> int:
        """Return how many batches are compiled: not a smaller one, nor the last of an ensemble.

        The first batch is given if the step may have to be compiled.
        """
        # an option that another thread has just assigned takes effect in the layers at once
        if self.step._noticed:
            return 0
        if self._program is None and self.refused is None and first is not None:
            self._compile(first)
        if self._program is None:
            return 0
        count, smaller = divmod(rows, size)
        return count - (self._several and not smaller)  # the layers then hold NumPy's last step

    def epochs(self, batches: Batches, most: int) -> Iterator[bool]:
        """Train for several epochs of full batches in one call; then yield for each of them."""
        assert isinstance(batches, Minibatches)
        bound = WORK // (batches.samples * max(1, self.network.params.size))
        count, steps = min(most, batches.epochs_at_once, max(1, bound)), len(batches)
        ready = self._program is not None and not self.step._noticed and not self._several
        ready = ready and count > 1 and not self.batches
        scalars = self._scalars(count * steps) if ready else np.empty((1, 0))
        count = scalars.shape[1] // steps  # fewer if the schedule fails at a later step
        if count < 2:
            self.epoch(batches, self.batches)
            yield False
            return
        arrays, order = batches.several(count)
        scalars = scalars[:, : count * steps]
        losses = self._train(arrays, order.reshape(-1, batches.batch_size), scalars)
        for start in range(0, count * steps, steps):
            if start:
                self.begin()
            self._count(losses[:, start : start + steps], batches.batch_size, steps)
            if losses.shape[1] <= start + steps:
                self._check()
            yield True
            if self.diverged_at is not None:
                return
        self._stopped()

    def _stopped(self) -> bool:
        return bool(self.network._attention and self._attend())

    def refresh(self) -> None:
        """Detect options that have changed since the step was compiled."""
        watched = self.step._watched
        self.step.refresh()
        replaced = self._program is not None and any(
            a is not b for (_, a), (_, b) in zip(self._member.moved(), self._moved, strict=True)
        )
        if self.step._watched is not watched or replaced:
            self._discard()

    def _compile(self, batch: Batch) -> None:
        """Record and compile the step; if that fails, all further steps are NumPy's."""
        self.optimizer.prepare(self.network.params, self.network.grads)
        try:
            member = Member(self.network, self.optimizer, batch, self.step.mean_weight)
            self._program = member.program(0 if self._several else threads() - 1)
        except NotCoveredError as error:
            self.refused = f"{error} is not compiled"
            vars(self.network)["compiled_because"] = self.refused
            return
        self._member, self._moved = member, member.moved()
        self._shares, tables = split(self._size, min(threads(), self._size)), []
        for share in self._shares:
            buffers: dict[int, Array] = {}
            for index in range(share.start, share.stop):
                place = member.place(index, buffers)
                tables.append(self._program.table(place, self._alive))
        self._tables = np.array(tables)

    def _train(self, arrays: Sequence[Any], order: Array, scalars: Array | None = None) -> Array:
        """Make steps, up to the first whose loss is not finite.

        A step whose learning rate the schedule does not give raises its error, after those before.

        Parameters
        ----------
        arrays : sequence (inputs, targets, weights)
        order : array of int (steps, rows of a batch)
            The rows of each step.
        scalars : array (members, steps, scalars), optional
            The optimizer's scalars of each step.

        Returns
        -------
        losses : array (members, steps made)
        """
        size, last, program = self._size, self.last_sane, self._program
        assert program is not None
        scalars = self._scalars(len(order)) if scalars is None else scalars
        steps, before = scalars.shape[1], self.earlier + self.batches
        losses, sane = np.empty((size, steps)), np.empty((size, 4))
        values = math.nan if last.mean is None else last.mean, last.lowest, last.bound, last.known
        for column, value in zip(sane.T, values, strict=True):
            column[...] = value
        data = [addresses(a, size, shared=a.ndim == 2) for a in arrays if a is not None]
        copies = [addresses(a, size) for a in (last.params, last.state) if a.size]
        order = np.ascontiguousarray(order, np.int64)
        rows = np.broadcast_to(order[:steps], (size, steps, order.shape[1]))
        row = self._tables, np.stack(data, -1), rows, scalars, losses, sane, np.stack(copies, -1)
        calls = [
            functools.partial(program.run, [part[share] for part in row], steps, before)
            for share in self._shares
        ]
        together(self._pool, calls)
        found: Any = sane.T if self._several else sane[0].tolist()
        last.mean, last.lowest, last.bound, known = found
        last.known = known > 0
        self._member.show(self.network)
        made = steps_made(losses)
        if made < len(order):
            self._repeat(*(None if a is None else a[..., order[made], :] for a in arrays))
        if made == steps < len(order):
            self.optimizer.steps += made
            self._scalars(1)  # raises the schedule's error
        return losses[:, :made]

    def _repeat(self, x: Any, target: Any, weights: Any) -> None:
        """Run the layers on a batch whose step was not made, so that its numbers can be seen."""
        with np.errstate(all="ignore"):
            self.network._step(x, target, weights, self.step.mean_weight)

    def _count(self, losses: Array, size: int, count: int) -> None:
        """Sum the losses of `count` steps, if that many were made, and detect divergence."""
        done = losses.shape[1]
        self.optimizer.steps += done
        sums = losses.sum(axis=-1) * size
        self.total = self.total + (sums if self._several else float(sums[0]))
        self.weight += size * done
        if done < count:
            self.diverged_at = self.batches + done
        self.batches += min(done + 1, count)

    def _check(self) -> None:
        """Detect weights that are not finite, which the loss of the next batch would show."""
        if self.diverged_at is None and not np.isfinite(self.network.params).all():
            self.diverged_at = self.batches - 1

    def _scalars(self, count: int) -> Array:
        """Return the scalars of the next steps, of shape (members, count, scalars)."""
        optimizer, dtype = self.optimizer, self.network.dtype
        rate: Any = optimizer._learning_rate
        rates = [rate] if np.ndim(rate) == 0 else np.ravel(rate).tolist()
        found = np.array(
            [scalars_ahead(optimizer, r, optimizer.steps, count, dtype) for r in rates]
        )
        return np.broadcast_to(found, (self._size, *found.shape[1:]))

    def _discard(self) -> None:
        """Discard the compiled step, and end its threads."""
        if self._program is not None:
            self._program.close()
        self._program = None
        self._alive.clear()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()
        self._discard()
