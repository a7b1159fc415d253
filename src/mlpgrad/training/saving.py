"""Saving the best model of a training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad.training.callbacks import Callback

if TYPE_CHECKING:
    from pathlib import Path


class ModelCheckpoint(Callback):
    """Save the model after each epoch that is the best so far (or after every epoch).

    Parameters
    ----------
    path : str or Path
        `{epoch}` is replaced by the epoch's number, counted from 1.
    monitor : str, optional
        By default `val_loss` where there is validation data, else `loss`; smaller is better.
    best_only : bool
    """

    kept = ("best",)

    def __init__(
        self, path: str | Path, *, monitor: str | None = None, best_only: bool = True
    ) -> None:
        self.path = arguments.path(path, "ModelCheckpoint: path")
        self.monitor = arguments.optional_text(monitor, "ModelCheckpoint: monitor", "val_loss")
        self.best_only = arguments.flag(best_only, "ModelCheckpoint: best_only")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.best = np.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        value = float(np.mean(self.monitored(logs, self.monitor)))
        if value < self.best or not self.best_only:
            self.best = min(value, self.best)
            from mlpgrad.exchange import npz  # archives and JSON: only where something is saved

            npz.save(self.model, str(self.path).format(epoch=epoch + 1))

    @classmethod
    def example(cls) -> Self:
        return cls("model-{epoch}.npz", best_only=False)
