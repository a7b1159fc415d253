"""Divergence: the error that ends a training, where it began, and finite weights to go back to."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.training.record import Record

COPY_PERIOD = 16  # steps between copies of finite weights


class DivergenceError(ArithmeticError):
    """The loss became infinite or NaN. The model holds finite weights.

    They are those of up to 16 steps before: a copy at every step would cost up to a tenth of the
    time.

    Attributes
    ----------
    history : History
        What was recorded before.
    epoch, batch : int
        Where it happened, counted from 0.
    """

    history: Record
    epoch: int
    batch: int


class LastFinite:
    """A copy of the weights and statistics of a step whose loss was finite."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.params, self.state = network.params.copy(), network.state.copy()

    def keep(self) -> None:
        """Copy the weights as they are: the next ones may not be finite."""
        self.params[...] = self.network.params
        if self.state.size:
            self.state[...] = self.network.state

    def put_back(self) -> None:
        """Restore the copy, where the present weights are not finite."""
        if not np.isfinite(self.network.params).all():
            self.network.params = self.params
        self.network.state = self.state


def raise_divergence(
    network: Network, record: Record, epoch: int, batch: int, rate: object, place: str
) -> NoReturn:
    """Say where the first bad value is, and what helps."""
    error = DivergenceError(
        f"training diverged in epoch {epoch + 1}, batch {batch + 1}: the first value that is "
        f"not finite is in {place}; the model holds finite weights again; lower the "
        f"learning rate (now {rate}), clip the gradients (clip_norm=1.0) or scale the inputs"
    )
    error.history, error.epoch, error.batch = record, epoch, batch
    raise error


def first_non_finite(network: Network) -> str:
    """The first layer, in the order of computation, with an infinite or NaN value."""

    def bad(array: Array | None) -> bool:
        return array is not None and not np.isfinite(array).all()

    for position, layer in walk(network.layers):
        if layer.children() and not bad(layer._inputs):
            continue  # the layers inside it come next, and say more
        name = f"layer {position} {layer!r}"
        if bad(layer._inputs):
            return f"the input of {name}"
        for kind, values in layer.params.items():
            if bad(values):
                return f"the {kind} of {name}"
        if bad(layer._outputs):
            return f"the output of {name}"
    return f"the loss {network.loss!r}"
