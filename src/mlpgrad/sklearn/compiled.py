"""Compiled steps for the whole batches of an epoch, where llvmlite is installed and they pay."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network
from mlpgrad.penalties import L2
from mlpgrad.sklearn.batches import DenseBatches
from mlpgrad.sklearn.building import dense_layers
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.sklearn.tasks import _FitTasks
from mlpgrad.training import choose_compiled
from mlpgrad.training.progress import ProgressBar
from mlpgrad.training.session import Session

STEPS_AHEAD = 4096
"""The number of steps whose scalars are computed at once, if the learning rate stays the same."""
WORK = 1 << 28
"""The most rows times parameters in a call, some hundredths of a second, to react to Ctrl-C."""


def why_not(session: Session, gradient: BatchGradient, steps: int) -> str | None:
    """Return why a training of so many steps is not compiled; None if it is to be tried."""
    network, batches, wish = session.network, session.batches, choose_compiled.wanted(None)
    if wish is False:
        return "it was told not to compile"
    if not steps:
        return "partial_fit makes one epoch"
    if not isinstance(batches, DenseBatches):
        return "the input is sparse"
    if not all(isinstance(callback, (_FitTasks, ProgressBar)) for callback in session.callbacks):
        return "callbacks may change the training"
    if network.ensemble_size is not None:
        return "there are several members"
    if batches.arrays[2] is not None and gradient.alpha:
        return "the L2 term depends on the weights of a batch"
    reason = choose_compiled.why_not(network, gradient.optimizer, batches)
    if reason is None and wish is None:
        units = sum(layer.out_features for layer in dense_layers(network))
        reason = choose_compiled.too_short(network, steps, batches.batch_size, units)
    return reason


def compiled_batches(
    session: Session, gradient: BatchGradient, steps: int
) -> CompiledBatches | None:
    """Return the compiled steps of a training, if they pay; record why not on the network."""
    from mlpgrad.training.compiled.operands import NotCoveredError

    found, reason = None, why_not(session, gradient, steps)
    if reason is None:
        try:
            found = CompiledBatches(gradient, cast(DenseBatches, session.batches))
        except NotCoveredError as error:
            reason = f"{error} is not compiled"
    vars(session.network)["compiled_because"] = reason
    session.record.compiled = found is not None
    return found


class CompiledBatches:
    """Steps of scikit-learn's objective on whole batches, one compiled call for many of them.

    Parameters
    ----------
    gradient : BatchGradient
        The objective and the optimizer, whose steps NumPy makes on the other batches.
    batches : DenseBatches
        Batches in which no row has a weight of its own, unless alpha is 0.

    Attributes
    ----------
    failed : bool
        Whether a loss was not finite; from then on, `train` makes no steps.

    Raises
    ------
    NotCoveredError
        If the step cannot be compiled.
    """

    def __init__(self, gradient: BatchGradient, batches: DenseBatches) -> None:
        from mlpgrad._core.memory import address
        from mlpgrad.training.compiled_member import Member
        from mlpgrad.training.threads import threads

        self.network, self.optimizer = gradient.network, gradient.optimizer
        self.size = batches.batch_size
        own = _with_penalty(self.network, gradient.alpha / self.size)
        self.optimizer.prepare(own.params, own.grads)
        self._address = address
        self._data = [np.ascontiguousarray(a) for a in batches.arrays if a is not None]
        batch: Any = tuple(None if a is None else a[: self.size] for a in batches.arrays)
        self._member = Member(own, self.optimizer, batch, None)  # weights are divided by their sum
        self._program = self._member.program(threads() - 1)
        self._alive: list[Any] = []
        self._table = self._program.table(self._member.place(0, {}), self._alive)
        # the compiled loop keeps weights to return to, which scikit-learn does not
        self._kept = self.network.params.copy(), self.network.state.copy()
        self._sane = np.array([math.nan, math.inf, math.inf, 0.0])
        self._copies = np.array([address(array) for array in self._kept])
        self._losses = np.zeros(len(batches))
        self._places = np.array([[address(array) for array in self._data]])
        self._scalars, self._first = np.empty((0, 1)), 0
        self._whole, self._gathered = batches.whole, False
        arrays = self._table, self._places, self._losses, self._sane, self._copies
        # the addresses of order and scalars follow in each call
        self._row = np.insert([address(array) for array in arrays], 2, [0, 0])
        self._rate: Any = None
        self.failed = False
        self.at_once = max(1, WORK // (self.size * self.network.params.size))

    def train(self, order: Array) -> tuple[float, int]:
        """Make steps on the whole batches of some rows, up to the first loss that is not finite.

        Returns
        -------
        total : float
            The sum of the losses of the rows.
        rows : int
            The number of rows in these batches.
        """
        count = 0 if self.failed else min(len(order) // self.size, self.at_once)
        if not count:
            return 0.0, 0
        scalars = self._next_scalars(count)
        count = min(count, len(scalars))
        order = np.ascontiguousarray(order[: count * self.size], np.int64)
        place = 0 if self._gathered else self._address(order)
        self._row[2:4], self._gathered = (place, self._address(scalars)), self._whole
        self._program.train(self._address(self._row), 1, count, self.optimizer.steps)
        total, made = math.fsum(self._losses[:count]), count
        if not math.isfinite(total):
            from mlpgrad.training.compiled.program import steps_made

            made = steps_made(self._losses[:count])
            total = math.fsum(self._losses[:made])
        self.failed = made < count
        self.optimizer.steps += made
        return total * self.size, made * self.size

    def _next_scalars(self, count: int) -> Array:
        """Return what the optimizer's formula needs in the next steps, a row for each.

        There are fewer rows if the schedule fails at a later step.
        """
        from mlpgrad.optimizers.scalars import scalars_ahead

        optimizer, rate = self.optimizer, self.optimizer._learning_rate
        start = optimizer.steps - self._first
        if rate != self._rate or start + count > len(self._scalars):
            many = max(count, STEPS_AHEAD) if rate == self._rate else count
            self._scalars = scalars_ahead(
                optimizer, rate, optimizer.steps, many, self.network.dtype
            )
            self._first, self._rate, start = optimizer.steps, rate, 0
        return self._scalars[start:]

    def close(self) -> None:
        """End the threads, and let the layers hold the last compiled step."""
        self._program.close()
        self._member.show(self.network)


def _with_penalty(network: Network, strength: float) -> Network:
    """Return a network on the same memory and random streams, with an L2 penalty."""
    twin = network.copy()
    if strength:
        twin.penalties = (L2(strength),)
    twin.rngs, twin.rng = network.rngs, network.rng
    twin._bind((network._params, network._grads, network._state))
    return twin
