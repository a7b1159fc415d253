"""Divergence: the error, the place where it began, and weights from which to continue."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network
from mlpgrad.training.record import Record

COPY_PERIOD = 16  # steps between copies of the weights
FAR_ABOVE = 10  # times the lowest loss; above it, weights are not worth keeping
SMOOTHING = 0.1  # weight of a new loss in the moving average whose minimum is kept


class DivergenceError(ArithmeticError):
    """The loss became infinite or NaN. The model holds weights from which training can continue.

    The weights are copied every 16 steps, since a copy at every step would cost up to a tenth of
    the time. The model is given the last copy whose loss and gradient were finite and whose loss
    was at most ten times the lowest of this training: the last finite weights before a divergence
    are useless. In an ensemble this applies to each member separately. The statistics of BatchNorm
    are restored with the weights. The optimizer is reset, because momentum and similar state have
    diverged as well: its state and its count of steps start over; its options remain.

    To continue, call `fit` again with a lower `learning_rate`.

    Attributes
    ----------
    history : History
        The values recorded before the divergence.
    epoch, batch : int
        Epoch and batch of the divergence, counted from 0.

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
    """A copy of weights and statistics from which training can continue.

    A step is sane if its loss and its gradient are finite and the loss is not far above the
    lowest. The lowest is taken of a moving average over about 160 steps, because a single batch
    may be easy by chance.

    Attributes
    ----------
    known : bool or array (E,)
        Whether there has been a sane step; until then, the copy holds the initial weights.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.params, self.state = network.params.copy(), network.state.copy()
        self.known: Any = False
        self.mean: Any = None
        self.lowest: Any = math.inf
        self.bound: Any = math.inf
        one = network.ensemble_size is None  # Python's floats are ten times as fast as NumPy's
        self._lower: Any = min if one else np.fmin
        self._finite: Any = _finite if one else _finite_rows

    def keep(self, loss: Any) -> None:
        """Copy the current weights if they are sane; call it between gradient and update.

        Parameters
        ----------
        loss : number or array (E,)
            The loss at the current weights, finite.
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
    """Return whether a gradient and its sum of squares are finite."""
    if grads.dtype.itemsize < 4:  # a sum of squares overflows early
        return bool(np.isfinite(grads).all())
    return math.isfinite(grads.dot(grads))


def _finite_rows(grads: Array) -> Any:
    """Return the same for each network of an ensemble."""
    if grads.dtype.itemsize < 4:  # a sum of squares overflows early
        return np.isfinite(grads).all(axis=-1)
    return np.isfinite(np.vecdot(grads, grads))


def raise_divergence(
    record: Record, epoch: int, batch: int, rate: object, place: str, known: bool
) -> NoReturn:
    """Raise DivergenceError, which says where the first non-finite value is, and what helps."""
    holds = "the model has earlier weights again, and the optimizer has been reset"
    advice = f"lower the learning rate (now {rate}), clip the gradients (clip_norm=1.0)"
    if not known:
        holds = "the initial weights of this training already give it"
        advice = "make a new model"
    error = DivergenceError(
        f"training diverged in epoch {epoch + 1}, batch {batch + 1}: the first value that is "
        f"not finite is in {place}; {holds}; {advice} or scale the inputs"
    )
    error.history, error.epoch, error.batch = record, epoch, batch
    raise error


def first_non_finite(network: Network) -> str:
    """Return the first place, in the order of computation, with an infinite or NaN value."""

    def bad(array: Array | None) -> bool:
        return array is not None and not np.isfinite(array).all()

    for position, layer in walk(network.layers):
        if layer.children() and not bad(layer._inputs):
            continue  # the layers inside it come next and locate it better
        name = f"layer {position} {layer!r}"
        if bad(layer._inputs):
            return f"the input of {name}"
        for kind, values in layer.params.items():
            if bad(values):
                return f"the {kind} of {name}"
        if bad(layer._outputs):
            return f"the output of {name}"
    return f"the loss {network.loss!r}"
