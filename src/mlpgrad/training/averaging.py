"""A moving average of the weights."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.checks import within
from mlpgrad.training.callbacks import Callback, expect_optimizer


class ExponentialMovingAverage(Callback):
    """average <- decay average + (1 - decay) params after every batch; `fit` ends with the average.

    The average starts from the initial parameters; their share in it, decay^t, is removed (bias
    correction, as in Adam). Statistics such as those of BatchNorm remain those of the last
    parameters.

    Training itself continues with the unaveraged parameters. The validation figures are those of
    the averaged parameters, since `fit` ends with them. Early stopping and checkpoints, before or
    after this callback in the list, therefore compare and keep averaged parameters.

    Parameters
    ----------
    decay : float, default 0.99
        At least 0 and below 1. A value close to 1 averages over about the last 1 / (1 - decay)
        batches.

    Attributes
    ----------
    average : array (P,) or (E, P)
        The average so far.

    Raises
    ------
    ValueError
        From `fit`, with a method that makes no step for each batch, such as `LBFGS`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> average = mg.ExponentialMovingAverage(0.9)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=5, validation_data=(x, y),
    ...                     callbacks=[average], verbose=0)
    >>> abs(model.evaluate(x, y)["loss"] - history["val_loss"][-1]) < 1e-6
    True
    """

    kept = ("_sum", "_weight")

    def __init__(self, decay: float = 0.99) -> None:
        self.decay = decay
        within(self, "decay", 0, 1)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        expect_optimizer(self, "a step for each batch")
        self._sum: Array = np.zeros_like(self.model.params)
        self._weight = 0.0  # of all parameters in the sum: 1 - decay^t while decay is the same

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self._sum *= self.decay
        self._sum += (1 - self.decay) * self.model.params
        self._weight += (1 - self.decay) * (1 - self._weight)

    @property
    def average(self) -> Array:
        """The average so far, in the shape of `model.params`."""
        return self._sum / self._weight

    def final_params(self) -> Array | None:
        return self.average if self._weight else None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._weight and not self.session.settled:
            self.model.params = self.average

    @classmethod
    def example(cls) -> Self:
        return cls(0.9)
