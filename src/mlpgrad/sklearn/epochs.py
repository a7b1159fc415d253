"""Callbacks of the pair for tables, which act between epochs and cost no time in a step."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.training import Callback


class _EpochAverage(Callback):
    """`ExponentialMovingAverage` over the weights at the ends of epochs.

    It does nothing between batches, so that steps can be recorded or compiled.

    Parameters
    ----------
    decay : float
        The factor of the previous average at the end of an epoch.
    """

    kept = ("_sum", "_epochs", "_open")

    def __init__(self, decay: float) -> None:
        self.decay = decay

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._sum: Array = np.zeros_like(self.model.params)
        self._epochs, self._open = 0, False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._open = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        self._close()

    def _close(self) -> None:
        """Add the weights at the end of an epoch to the average, once."""
        if self._open:
            self._sum *= self.decay
            self._sum += (1 - self.decay) * self.model.params
            self._epochs, self._open = self._epochs + 1, False

    def final_params(self) -> Array | None:
        self._close()
        return self._sum / (1 - self.decay**self._epochs) if self._epochs else None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        average = self.final_params()
        if average is not None and not self.session.settled:
            self.model.params = average


class _Together(Callback):
    """Ends a training when the mean validation loss of its members has stopped improving.

    `EarlyStopping` waits for the last member, even if all others have long been overfitted.

    Parameters
    ----------
    patience : int
        The number of epochs without improvement to allow; 0 is the same as 1.
    bar : float, default inf
        The loss of another training: above it, a third of the patience is enough.
    """

    kept = ("best", "best_epoch")

    def __init__(self, patience: int, bar: float = np.inf) -> None:
        self.patience, self.bar = patience, bar

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.best, self.best_epoch = np.inf, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        loss = float(np.mean(logs["val_loss"]))
        if loss < self.best:
            self.best, self.best_epoch = loss, epoch
        patience = self.patience if self.best <= self.bar else self.patience // 3
        if epoch - self.best_epoch >= max(patience, 1):
            self.model.stop_training = True
