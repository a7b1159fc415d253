"""Divergence: the error that ends a training, where it began, and weights to go on from."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.training.record import Record

COPY_PERIOD = 16  # steps between copies of the weights
FAR_ABOVE = 10  # times the lowest loss: weights beyond that are no longer worth a copy
SMOOTHING = 0.1  # of a new loss in the mean of which the lowest counts


class DivergenceError(ArithmeticError):
    """The loss became infinite or NaN. The model holds weights that training can go on from.

    They are the last ones copied (every 16 steps, since a copy at every step would cost up to a
    tenth of the time) whose loss and gradient were finite, and whose loss was not above ten times
    the lowest of this training: while a training diverges, its last finite weights are useless.
    In an ensemble this holds for each member by itself. BatchNorm's statistics are put back with
    them. The optimizer is reset: momentum and similar state have diverged too, so its state and its
    count of steps begin anew; its options stay.

    To go on, call `fit` again with a lower `learning_rate`.

    Attributes
    ----------
    history : History
        What was recorded before.
    epoch, batch : int
        Where it happened, counted from 0.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.regression(100, random_state=0)
    >>> model = mg.Sequential([mg.Dense(5, 1)], loss=mg.MeanSquaredError(), random_state=0)
    >>> try:
    ...     history = model.fit(x, y, optimizer=mg.SGD(50.0), epochs=100, verbose=0)
    ... except mg.DivergenceError:
    ...     history = model.fit(x, y, optimizer=mg.SGD(0.1), epochs=100, verbose=0)
    >>> history["loss"][-1] < 10
    True
    """

    history: Record
    epoch: int
    batch: int


class LastSane:
    """A copy of the weights and statistics of a step that training can go on from.

    A step is sane if its loss and its gradient are finite, and the loss is not far above the
    lowest, which is that of a mean over about 160 steps: single batches may be easy by chance.

    Attributes
    ----------
    known : bool or array (E,)
        Whether a sane step has been seen; before, the copy is of the first weights.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.params, self.state = network.params.copy(), network.state.copy()
        self.known: Any = False
        self.mean: Any = None
        self.lowest: Any = math.inf
        self.bound: Any = math.inf
        one = network.ensemble_size is None  # Python's numbers cost a tenth of NumPy's
        self._lower: Any = min if one else np.fmin
        self._finite: Any = _finite if one else _finite_rows

    def keep(self, loss: Any) -> None:
        """Copy the weights as they are, if they are sane; call it between gradient and update.

        Parameters
        ----------
        loss : number or array (E,)
            The loss of the weights, finite.
        """
        network = self.network
        sane = (loss <= self.bound) & self._finite(network.grads)
        if sane is True or np.all(sane):
            self.params[...] = network.params
            if self.state.size:
                self.state[...] = network.state
        elif np.any(sane):  # some members of an ensemble
            self.params[sane], self.state[sane] = network.params[sane], network.state[sane]
        self.known = sane | self.known
        self.mean = loss if self.mean is None else self.mean + SMOOTHING * (loss - self.mean)
        self.lowest = lowest = self._lower(self.lowest, self.mean)
        self.bound = lowest + FAR_ABOVE * abs(lowest)

    def put_back(self) -> None:
        """Restore the copy."""
        self.network.params, self.network.state = self.params, self.state


def _finite(grads: Array) -> bool:
    """Whether a gradient is finite, and its square too."""
    if grads.dtype.itemsize < 4:  # a sum of squares overflows early
        return bool(np.isfinite(grads).all())
    return math.isfinite(grads.dot(grads))


def _finite_rows(grads: Array) -> Any:
    """The same for each network of an ensemble."""
    if grads.dtype.itemsize < 4:  # a sum of squares overflows early
        return np.isfinite(grads).all(axis=-1)
    return np.isfinite(np.vecdot(grads, grads))


def raise_divergence(
    network: Network, record: Record, epoch: int, batch: int, rate: object, place: str, known: bool
) -> NoReturn:
    """Say where the first bad value is, and what helps."""
    holds = "the model holds weights from before again, and the optimizer begins anew"
    advice = f"lower the learning rate (now {rate}), clip the gradients (clip_norm=1.0)"
    if not known:
        holds = "the weights that this training began with give it already"
        advice = "make a new model"
    error = DivergenceError(
        f"training diverged in epoch {epoch + 1}, batch {batch + 1}: the first value that is "
        f"not finite is in {place}; {holds}; {advice} or scale the inputs"
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
