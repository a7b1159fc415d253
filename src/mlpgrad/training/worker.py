"""The loop over batches, for a network or for some members of an ensemble."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, part_of
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import Accumulator, add_to_all, start_all
from mlpgrad.network.network import Network
from mlpgrad.optimizers.base import Optimizer
from mlpgrad.training.batches import Batches
from mlpgrad.training.callbacks import Callback, in_turn
from mlpgrad.training.communicator import Joined
from mlpgrad.training.divergence import COPY_PERIOD, LastSane
from mlpgrad.training.rows import Batch
from mlpgrad.training.step import Step


class Worker:
    """The loop over the batches of an epoch, which makes the steps and sums their losses.

    Parameters
    ----------
    network : Network
        The whole network, or some members of an ensemble on the same memory.
    optimizer : Optimizer
        The optimizer of that network.
    step : Step
    members : slice, optional
        The members in `network`.
    callbacks : sequence of Callback
        Callbacks to call around each batch.
    metrics : sequence of Metric
        Metrics to measure on each batch.
    join : Joined, optional
        Sums the gradients of all ranks.

    Attributes
    ----------
    total, weight : number or array (E,), and int
        The sum of the losses of this epoch's samples, and their number.
    measured : dict of Accumulator
        The epoch's training metrics, by name.
    batches : int
        Number of batches of the epoch so far.
    diverged_at : int or None
        The batch whose loss was not finite.
    """

    def __init__(
        self,
        network: Network,
        optimizer: Optimizer,
        step: Step,
        *,
        members: slice | None = None,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[Metric] = (),
        join: Joined | None = None,
    ) -> None:
        self.network, self.optimizer, self.step, self.members = network, optimizer, step, members
        self.callbacks, self.metrics, self.join = callbacks, metrics, join
        single = network.ensemble_size is None
        self.number: Any = float if single else _as_float64
        self.finite: Any = math.isfinite if single else _all_finite
        self.last_sane = LastSane(network)
        self.earlier = self.batches = 0  # batches of earlier epochs; of this one
        self.begin()

    def begin(self) -> None:
        """Begin a new epoch."""
        self.earlier += self.batches
        self.batches = 0
        self.total: Any = 0.0
        self.weight: Any = 0
        self.measured: dict[str, Accumulator] = start_all(self.metrics) if self.metrics else {}
        self.diverged_at: int | None = None

    def take_over(self, earlier: Worker) -> None:
        """Continue where the worker of the same members ended an epoch."""
        self.earlier = earlier.earlier + earlier.batches
        if np.shape(earlier.last_sane.params) == np.shape(self.last_sane.params):
            self.last_sane = earlier.last_sane

    def epoch(self, batches: Batches, seen: int) -> None:
        """Train on the remaining batches of an epoch."""
        left = itertools.chain.from_iterable(batches.after(seen)) if seen else batches
        self.run(left)

    def epochs(self, batches: Batches, most: int) -> Iterator[bool]:
        """Train for several epochs at once, `most` of them at most; then show what each gave.

        Yields whether an epoch is whole: another thread, or Ctrl-C, may have ended it.
        """
        raise NotImplementedError

    def refresh(self) -> None:
        """Notice what the user's code may have changed; called at the beginning of an epoch."""
        self.step.refresh()

    def close(self) -> None:
        """Release what was set up for this training."""

    def run(self, batches: Iterable[Batch]) -> None:
        """Train on batches, until the loss is not finite or `stop_training` is set."""
        network, number, finite, join = self.network, self.number, self.finite, self.join
        gradient, update, keep = self.step.gradient, self.step.update, self.last_sane.keep
        callbacks, watched = self.callbacks, bool(self.callbacks or self.metrics)
        first, total, weight = self.batches, self.total, self.weight
        batch = first - 1
        # an overflow shows in the loss, which is checked after every step
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for batch, (x, target, weights) in enumerate(self._own(batches), first):
                if callbacks:
                    self._announce(batch)
                samples = x.shape[-2]
                value = number(gradient(x, target, weights))
                if join is not None:
                    value = join(value, samples)
                if not finite(value):
                    self.diverged_at = batch
                    break
                if not (self.earlier + batch) % COPY_PERIOD:
                    keep(value)
                update()
                total += value * samples
                weight += samples
                if watched:
                    self.batches, self.total, self.weight = batch + 1, total, weight
                    self._look(batch, value, target, weights)
                if network._attention and self._attend():
                    break
        if self.diverged_at is None and not np.isfinite(network.params).all():
            self.diverged_at = batch
        self.batches, self.total, self.weight = batch + 1, total, weight

    def _attend(self) -> bool:
        """Let waiting threads read the weights; return whether training should stop."""
        if self.network._fitting is not None:
            self.network._fitting.serve()
        # all ranks end an epoch after the same batch, the one in which all know of the stop
        return self.network.stop_training if self.join is None else self.join.stops

    def _outside(self) -> AbstractContextManager[None]:
        """Return a context for user code between steps; other threads may read weights in it."""
        fitting = self.network._fitting
        return nullcontext() if fitting is None else fitting.opened()

    def _own(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        """Yield the batches as these members see them."""
        members = self.members
        if members is not None:
            return (
                (part_of(members, x), part_of(members, t), part_of(members, w))
                for x, t, w in batches
            )
        return batches

    def _announce(self, batch: int) -> None:
        """Call the callbacks before a batch."""
        with self._outside():
            for callback in self.callbacks:
                callback._direct_on_train_batch_begin(batch, {})

    def _look(self, batch: int, value: Any, target: Array, weights: Array | None) -> None:
        """Measure the metrics on a batch, and call the callbacks for it."""
        prediction, loss = self.network.layers[-1]._outputs, self.network.loss
        assert prediction is not None
        with self._outside():
            if self.measured and self.network.target_scaling is not None:
                target = self.network.target_in_own_unit(target)
                prediction = self.network.in_own_unit(prediction)
            if self.measured:
                add_to_all(self.measured, prediction, target, weights, loss)
            for callback in in_turn(self.callbacks, "on_train_batch_end"):
                callback._direct_on_train_batch_end(batch, {"loss": value})


def _as_float64(value: Any) -> Array:
    return np.asarray(value, np.float64)


def _all_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())
