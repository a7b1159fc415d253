"""The loop over batches, compiled: what `fit` runs in place of the loop over NumPy's steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.batches import Batch, Batches
from mlpgrad.training.compiled.blas import Blas
from mlpgrad.training.compiled.members import Member, part
from mlpgrad.training.compiled.numbers import numbers
from mlpgrad.training.compiled.operands import NotCoveredError, address
from mlpgrad.training.compiled.program import Program
from mlpgrad.training.recorded_step import RecordedStep
from mlpgrad.training.threads import threads
from mlpgrad.training.worker import Worker

MEAN, LOWEST, BOUND, KNOWN = range(4)
"""The columns of what `keep` of the compiled loop knows of a member; two addresses follow."""


class CompiledWorker(Worker):
    """A worker whose whole batches are compiled; NumPy's step makes the shorter ones.

    Attributes
    ----------
    refused : str or None
        Why the step could not be compiled after all: then NumPy's step makes all of them.
    """

    def __init__(self, network: Network, optimizer: Optimizer, step: RecordedStep) -> None:
        super().__init__(network, optimizer, step)
        self.step: RecordedStep = step
        self.refused: str | None = None
        self._several = network.ensemble_size is not None
        self._size = network.ensemble_size or 1
        self._program: Program | None = None
        self._shapes: Any = None
        self._pool: ThreadPoolExecutor | None = None

    def epoch(self, batches: Batches, seen: int) -> None:
        """Train on the batches of an epoch that have not been seen yet, a block at a time."""
        for block in batches.after(seen):
            self.run(block)
            if self.diverged_at is not None or self.network.stop_training:
                return

    def run(self, batches: Any) -> None:
        """Train on batches that are valid together."""
        batches = list(batches)
        # an option that has just been assigned, by another thread, acts at once in the layers
        whole = 0 if self.step._noticed else self._whole(batches)
        if self._program is None and self.refused is None and whole:
            self._compile(batches[0])
        if self._program is None or not whole:
            super().run(batches)
            return
        self._train(batches[:whole])
        rest = batches[whole:]
        if rest and self.diverged_at is None and not self._stopped():
            super().run(rest)

    def _stopped(self) -> bool:
        return bool(self.network._attention and self._attend())

    def _whole(self, batches: Sequence[Batch]) -> int:
        """How many of the first batches have one shape; an ensemble's last one is NumPy's."""
        self._shapes = self._shapes or batches[0][0].shape
        whole = sum(map(bool, (batch[0].shape == self._shapes for batch in batches)))
        return max(whole - 1, 0) if self._several and whole == len(batches) else whole

    def refresh(self) -> None:
        """Notice options that have changed since the step was compiled."""
        watched = self.step._watched
        self.step.refresh()
        replaced = self._program is not None and any(
            a is not b for a, b in zip(self._member.moved_to(), self._arrays, strict=True)
        )
        if self.step._watched is not watched or replaced:
            self._program = None

    def _compile(self, batch: Batch) -> None:
        """Record and compile; from now on NumPy's step makes all where that fails."""
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
        self._tables: list[Array] = []
        self._alive: list[Any] = []
        for share in self._shares:
            buffers: dict[int, Array] = {}
            for index in share:
                table, alive = self._program.table(member.place(index, buffers))
                self._tables.append(table)
                self._alive.append(alive)
        self._sane = self._knowledge()

    # what is kept to go back to

    def _knowledge(self) -> Array:
        """`LastSane` as the compiled loop reads and writes it: a row for each member."""
        last, table = self.last_sane, np.empty((self._size, 6))
        values = math.nan if last.mean is None else last.mean, last.lowest, last.bound, last.known
        for column, value in zip((MEAN, LOWEST, BOUND, KNOWN), values, strict=True):
            table[:, column] = value
        places = table.view(np.uintp)
        for index in range(self._size):
            row = index if self._several else ...
            places[index, 4:] = address(last.params[row]), address(last.state[row])
        return table

    def _learn(self) -> None:
        """Put into `LastSane` what the compiled loop has found."""
        last, rows = self.last_sane, self._sane
        if self._several:
            last.mean, last.lowest, last.bound = (rows[:, c].copy() for c in (0, 1, 2))
            last.known = rows[:, KNOWN] > 0
        elif not math.isnan(rows[0, MEAN]):
            last.mean, last.lowest, last.bound = (float(value) for value in rows[0, :3])
            last.known = bool(rows[0, KNOWN])

    # training

    def _train(self, batches: list[Batch]) -> None:
        """Make all steps of some batches, which follow one another in memory."""
        assert self._program is not None
        count, samples = len(batches), batches[0][0].shape[-2]
        losses = np.empty((self._size, count))
        self._sane = self._knowledge()
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            tables = self._numbers(count)
        made = self._in_threads(batches, tables, losses)
        self._learn()
        done = min(made)
        self.optimizer.steps += done
        if done < count:
            self.diverged_at = self.batches + done
            self._show_divergence(batches[done])
        elif not np.isfinite(self.network.params).all():
            self.diverged_at = self.batches + count - 1
        sums = losses[:, :done].sum(axis=-1) * samples
        self.total = self.total + (sums if self._several else float(sums[0]))
        self.weight += samples * done
        self.batches += count if done == count else done + 1
        self._show(batches[-1])

    def _numbers(self, count: int) -> list[Array]:
        """The scalars of the next steps, for each member."""
        optimizer, dtype = self.optimizer, self.network.dtype
        rates = np.ravel(optimizer._rate(optimizer.steps))
        if rates.size == 1:
            return [numbers(optimizer, optimizer.steps, count, dtype)] * self._size
        one = self._member.rule
        found = []
        for index in range(self._size):
            one._learning_rate = float(np.ravel(optimizer._learning_rate)[index])  # type: ignore[arg-type]
            found.append(numbers(one, optimizer.steps, count, dtype))
        return found

    def _in_threads(self, batches: list[Batch], tables: list[Array], losses: Array) -> list[int]:
        """The number of steps that each member has made."""
        made = [0] * self._size

        def train(share: range) -> None:
            for index in share:
                made[index] = self._one(index, batches, tables[index], losses[index])

        first, *others = self._shares
        if others and self._pool is None:
            self._pool = ThreadPoolExecutor(len(others))
        running = [self._pool.submit(train, share) for share in others] if self._pool else []
        try:
            train(first)
        finally:
            for future in running:
                future.result()
        return made

    def _one(self, index: int, batches: list[Batch], table: Array, losses: Array) -> int:
        """All steps of one member."""
        assert self._program is not None
        data = [address(part(index, array)) for array in batches[0] if array is not None]
        pointers = np.array(data, np.uintp)
        return self._program.function(
            address(self._tables[index]),
            address(pointers),
            len(batches),
            address(table),
            address(losses),
            self.earlier + self.batches,
            address(self._sane[index]),
        )

    # what the layers show afterwards

    def _show(self, batch: Batch) -> None:
        """Let the layers show the last step; those of an ensemble show that of its last batch."""
        self.step._shown = False
        layers = [layer for _, layer in walk(self.network.layers)]
        if self._several:
            for layer in layers:
                layer._inputs = layer._outputs = layer._delta = None
            return
        trial = self._member.trial
        for buffer, array in zip((trial.x, trial.target, trial.weights), batch, strict=True):
            if buffer is not None:
                buffer[...] = array
        for layer, seen in zip(layers, trial.seen, strict=True):
            layer._inputs, layer._outputs, layer._delta = seen

    def _show_divergence(self, batch: Batch) -> None:
        """Make the step whose loss is not finite once more, so that it can be looked at."""
        with np.errstate(all="ignore"):
            self.network._step(*batch, self.step.mean_weight)

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
