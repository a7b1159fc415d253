"""The loop over batches: of a whole model, or of an ensemble's networks in several threads.

The networks of an ensemble share nothing but the data. So each thread takes some of them through
the same batches, and they get the weights that one thread would give them, to the last bit. NumPy
works without Python's lock: where its calls are long enough, two threads need two thirds of the
time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.metrics import Metric
from mlpgrad.metrics.base import start_all
from mlpgrad.training.batches import Batch
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.recorded_step import Replay, worthwhile

if TYPE_CHECKING:
    from mlpgrad.network.network import Network
    from mlpgrad.optimizers.base import Optimizer

COPY_PERIOD = 16  # steps between copies of finite weights


class Part:
    """A model, or some networks of an ensemble, with what their steps need and leave.

    Attributes
    ----------
    total, weight : number or array (E,)
        Sums over the samples of the epoch: of losses, and of weights.
    measured : dict
        Accumulators of the epoch's training metrics, by name.
    diverged_at : int or None
        The batch whose loss was not finite.
    """

    def __init__(
        self,
        model: Network,
        optimizer: Optimizer,
        batch_size: int,
        steps: int,
        callbacks: Sequence[Callback] = (),
        metrics: Sequence[Metric] = (),
        rows: slice | None = None,
    ) -> None:
        self.model, self.optimizer, self.rows = model, optimizer, rows
        self.callbacks, self.metrics = callbacks, metrics
        single = model.ensemble_size is None
        self.number: Any = float if single else _as_float64
        self.finite: Any = math.isfinite if single else _all_finite
        self.last_params, self.last_state = model.params.copy(), model.state.copy()
        repeats = worthwhile(model, batch_size, steps) and not callbacks
        self.replay = Replay(model, optimizer, batch_size) if repeats else None
        self.steps_before = self.batches = 0  # of earlier epochs; of this one
        self.begin()

    def begin(self) -> None:
        """A new epoch."""
        self.steps_before += self.batches
        self.batches = 0
        self.total: Any = 0.0
        self.weight: Any = 0
        self.measured = start_all(self.metrics) if self.metrics else {}
        self.diverged_at: int | None = None

    def run(self, batches: Iterable[tuple[int, Batch]]) -> None:
        """Train on numbered batches, until the loss is not finite or `stop_training` is set."""
        model, optimizer, rows = self.model, self.optimizer, self.rows
        params, grads = model.params, model.grads
        step: Any = model._step
        update = optimizer.step
        if self.replay is not None:
            step, update = self.replay.step, self.replay.update
        number, finite, keep = self.number, self.finite, self._keep_finite
        before = self.steps_before
        total, weight = self.total, self.weight
        # an overflow shows in the loss, which is looked at after every step
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for batch, (x, target, weights) in batches:
                if rows is not None:
                    x, target, weights = (_of(rows, array) for array in (x, target, weights))
                for callback in self.callbacks:
                    callback.on_train_batch_begin(batch, {})
                value = number(step(x, target, weights))
                if not finite(value):
                    self.diverged_at = batch
                    break
                if not (before + batch) % COPY_PERIOD:
                    keep()
                update(params, grads)
                share = x.shape[-2] if weights is None else weights.sum(axis=(-2, -1))
                total += value * share
                weight += share
                if self.metrics:
                    self._measure(target, weights)
                for callback in self.callbacks:
                    callback.on_train_batch_end(batch, {"loss": value})
                if model.stop_training:
                    break
        if self.diverged_at is None and not np.isfinite(params).all():
            self.diverged_at = batch
        self.batches = batch + 1
        self.total, self.weight = total, weight

    def _keep_finite(self) -> None:
        """Keep a copy of the weights whose loss was finite: the next ones may not be."""
        self.last_params[...] = self.model.params
        if self.last_state.size:
            self.last_state[...] = self.model.state

    def put_back(self) -> None:
        """The last weights that were kept, where the present ones are not finite."""
        if not np.isfinite(self.model.params).all():
            self.model.params = self.last_params
        self.model.state = self.last_state

    def _measure(self, target: Array, weights: Array | None) -> None:
        """Add this batch to the training metrics."""
        prediction, loss = self.model.layers[-1]._outputs, self.model.loss
        assert prediction is not None
        for accumulator in self.measured.values():
            accumulator.add(prediction, target, weights, loss)


def _of(rows: slice, array: Array | None) -> Any:
    """What some networks of an ensemble see of a batch: all of it, where it is shared."""
    return array if array is None or array.ndim == 2 else array[rows]


def _as_float64(value: Any) -> Array:
    return np.asarray(value, np.float64)


def _all_finite(values: Array) -> bool:
    return bool(np.isfinite(values).all())
