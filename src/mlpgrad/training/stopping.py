"""Callbacks that watch a value: stop early, lower the learning rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.data import check_validation
from mlpgrad.training.evaluate import evaluate

if TYPE_CHECKING:
    pass


class EarlyStopping(Callback):
    """Stop when the monitored value has not improved for `patience` epochs; keep the best weights.

    The best weights are always restored, however training ends. Each member of an ensemble has
    its own best weights and its own patience, as if trained alone; training ends with the last.

    Parameters
    ----------
    patience : int
        Epochs without improvement to wait for.
    monitor : str, optional
        By default `val_loss` where there is validation data, else `loss`.
    min_delta : float
        Improvements smaller than this do not count.
    mode : {"min", "max"}, optional
        Whether smaller or larger is better; by default "max" for accuracies, else "min".
    validation_data : tuple (x, y), optional
        A validation set of its own, whose loss is monitored.
    """

    kept = ("best", "best_epoch", "_best")

    def __init__(
        self,
        patience: int = 10,
        *,
        monitor: str | None = None,
        min_delta: float = 0.0,
        mode: str | None = None,
        validation_data: tuple[Any, ...] | None = None,
    ) -> None:
        if not (mode is None or (isinstance(mode, str) and mode in ("min", "max"))):
            raise ValueError(f'mode expects "min", "max" or None, got {arguments.shown(mode)}')
        self.patience = arguments.count(patience, "EarlyStopping: patience", 0)
        self.monitor = arguments.optional_text(monitor, "EarlyStopping: monitor", "val_loss")
        self.min_delta = arguments.number(min_delta, "EarlyStopping: min_delta", 0)
        if validation_data is not None:
            check_validation(validation_data, 0.0)
        self.mode, self.validation_data = mode, validation_data

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        networks = self.model.ensemble_size or 1
        self.best = np.full(networks, np.inf)
        self.best_epoch = np.full(networks, -1)
        self._best = [flat.copy() for flat in self._networks()]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.validation_data is not None:
            x, y, *weight = self.validation_data
            sample_weight = weight[0] if weight else None
            value = evaluate(self.model, *self.model.checked(x, y, sample_weight), None)["loss"]
        else:
            value = self.monitored(logs, self.monitor)
        largest = self.mode == "max" or (self.mode is None and "accuracy" in (self.monitor or ""))
        score = np.atleast_1d(-np.asarray(value) if largest else value)
        waited_out = (self.best_epoch >= 0) & (epoch - self.best_epoch > self.patience)
        better = (score < self.best - self.min_delta) & ~waited_out
        self.best[better], self.best_epoch[better] = score[better], epoch
        for kept, flat in zip(self._best, self._networks(), strict=True):
            kept[better] = flat[better]
        if (epoch - self.best_epoch >= self.patience).all():
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        known = self.best_epoch >= 0
        for kept, flat in zip(self._best, self._networks(), strict=True):
            flat[known] = kept[known]

    def _networks(self) -> list[Array]:
        """Views of the model's params and state with one row a network."""
        networks = self.model.ensemble_size or 1
        return [flat.reshape(networks, -1) for flat in (self.model.params, self.model.state)]

    @classmethod
    def example(cls) -> Self:
        return cls(1)


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by `factor` after `patience` epochs without improvement.

    For an ensemble the mean of the members is watched.

    Parameters
    ----------
    factor : float
    patience : int
    monitor : str, optional
        By default `val_loss` where there is validation data, else `loss`.
    min_delta : float
        Relative improvement that counts (PyTorch's `threshold`).
    lowest : float
        The scale of the learning rate is not reduced below this.
    """

    kept = ("best", "waited")

    def __init__(
        self,
        factor: float = 0.1,
        *,
        patience: int = 10,
        monitor: str | None = None,
        min_delta: float = 1e-4,
        lowest: float = 0.0,
    ) -> None:
        name = "ReduceOnPlateau: "
        self.factor = arguments.number(factor, name + "factor", 0, 1, ends="()")
        self.patience = arguments.count(patience, name + "patience", 0)
        self.monitor = arguments.optional_text(monitor, name + "monitor", "val_loss")
        self.min_delta = arguments.number(min_delta, name + "min_delta", 0)
        self.lowest = arguments.number(lowest, name + "lowest", 0)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.best, self.waited = np.inf, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        value = float(np.mean(self.monitored(logs, self.monitor)))
        if value < self.best - self.min_delta * abs(self.best if np.isfinite(self.best) else 0):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            scale = self.optimizer.learning_rate_scale
            self.optimizer.learning_rate_scale = max(scale * self.factor, self.lowest)
            self.waited = 0

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, patience=0)
