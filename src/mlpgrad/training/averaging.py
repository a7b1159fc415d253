"""A moving average of the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.training.callbacks import Callback

if TYPE_CHECKING:
    pass


class ExponentialMovingAverage(Callback):
    """average <- decay average + (1 - decay) params after every batch; used at the end.

    The average starts from the first weights, and its weight on them, decay^t, is taken out
    (as Adam does). Statistics such as BatchNorm's stay those of the last weights.

    Parameters
    ----------
    decay : float
        Close to 1: an average over about the last 1 / (1 - decay) batches.
    """

    kept = ("_sum", "_steps")

    def __init__(self, decay: float = 0.99) -> None:
        self.decay = arguments.number(decay, "ExponentialMovingAverage: decay", 0, 1)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._sum: Array = np.zeros_like(self.model.params)
        self._steps = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        self._sum *= self.decay
        self._sum += (1 - self.decay) * self.model.params
        self._steps += 1

    @property
    def average(self) -> Array:
        """The average so far, in the shape of `model.params`."""
        return self._sum / (1 - self.decay**self._steps)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._steps:
            self.model.params = self.average

    @classmethod
    def example(cls) -> Self:
        return cls(0.9)
