"""Callbacks: what happens around epochs and batches, under Keras's hook names."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad._describe import Described, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from mlpgrad.history import History
    from mlpgrad.model import Sequential
    from mlpgrad.optimizer_base import Optimizer


class Callback(Described):
    """Base of all callbacks: override the hooks you need.

    `fit` sets `model`, `optimizer`, `history` and `epochs` before the first hook. Setting
    `self.model.stop_training = True` ends training. Hooks on batches cost time only where they
    are overridden.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> class Print(mg.Callback):
    ...     def on_epoch_end(self, epoch, logs):
    ...         print(f"epoch {epoch}: {sorted(logs)}")
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())
    >>> history = model.fit(x, y, optimizer=mg.SGD(0.1), epochs=2, callbacks=[Print()], verbose=0)
    epoch 0: ['learning_rate', 'loss']
    epoch 1: ['learning_rate', 'loss']
    """

    model: Sequential
    optimizer: Optimizer
    history: History
    epochs: int

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """After the last epoch, also when training was interrupted or failed."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before each epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """After each epoch, with its loss and metrics by name."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any]) -> None:
        """Before each batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """After each batch, with its loss."""

    def follows_batches(self) -> bool:
        """Whether a hook on batches is overridden."""
        hooks = ("on_train_batch_begin", "on_train_batch_end")
        return any(getattr(type(self), hook) is not getattr(Callback, hook) for hook in hooks)

    def monitored(self, logs: dict[str, Any], name: str | None) -> Any:
        """The logged value to watch: `val_loss` where there is one, else `loss`, or by name."""
        name = name or ("val_loss" if "val_loss" in logs else "loss")
        if name not in logs:
            raise KeyError(f"{self!r} found no {name!r} in the logs{nearest(name, logs)}")
        return logs[name]

    @classmethod
    def example(cls) -> Self:
        """A callback with options worth a test, for tests that go through every class."""
        return cls()


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

    def __init__(
        self,
        patience: int = 10,
        *,
        monitor: str | None = None,
        min_delta: float = 0.0,
        mode: str | None = None,
        validation_data: tuple[Any, ...] | None = None,
    ) -> None:
        if mode not in (None, "min", "max"):
            raise ValueError(f'mode expects "min", "max" or None, got {mode!r}')
        self.patience, self.monitor, self.min_delta = patience, monitor, min_delta
        self.mode, self.validation_data = mode, validation_data

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        networks = self.model.ensemble_size or 1
        self.best = np.full(networks, np.inf)
        self.best_epoch = np.full(networks, -1)
        self._kept = [flat.copy() for flat in self._networks()]

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if self.validation_data is not None:
            x, y, *weight = self.validation_data
            sample_weight = weight[0] if weight else None
            value = self.model.evaluate(x, y, sample_weight=sample_weight)["loss"]
        else:
            value = self.monitored(logs, self.monitor)
        largest = self.mode == "max" or (self.mode is None and "accuracy" in (self.monitor or ""))
        score = np.atleast_1d(-np.asarray(value) if largest else value)
        waited_out = (self.best_epoch >= 0) & (epoch - self.best_epoch > self.patience)
        better = (score < self.best - self.min_delta) & ~waited_out
        self.best[better], self.best_epoch[better] = score[better], epoch
        for kept, flat in zip(self._kept, self._networks(), strict=True):
            kept[better] = flat[better]
        if (epoch - self.best_epoch >= self.patience).all():
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        known = self.best_epoch >= 0
        for kept, flat in zip(self._kept, self._networks(), strict=True):
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

    def __init__(
        self,
        factor: float = 0.1,
        *,
        patience: int = 10,
        monitor: str | None = None,
        min_delta: float = 1e-4,
        lowest: float = 0.0,
    ) -> None:
        if not 0 < factor < 1:
            raise ValueError(f"factor expects a number between 0 and 1, got {factor}")
        self.factor, self.patience, self.monitor = factor, patience, monitor
        self.min_delta, self.lowest = min_delta, lowest

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


class ExponentialMovingAverage(Callback):
    """average <- decay average + (1 - decay) params after every batch; used at the end.

    The average starts from the first weights, and its weight on them, decay^t, is taken out
    (as Adam does). Statistics such as BatchNorm's stay those of the last weights.

    Parameters
    ----------
    decay : float
        Close to 1: an average over about the last 1 / (1 - decay) batches.
    """

    def __init__(self, decay: float = 0.99) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay expects a number in [0, 1), got {decay}")
        self.decay = decay

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

    def __init__(
        self, path: str | Path, *, monitor: str | None = None, best_only: bool = True
    ) -> None:
        self.path, self.monitor, self.best_only = path, monitor, best_only

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.best = np.inf

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        value = float(np.mean(self.monitored(logs, self.monitor)))
        if value < self.best or not self.best_only:
            self.best = min(value, self.best)
            self.model.save(str(self.path).format(epoch=epoch + 1))

    @classmethod
    def example(cls) -> Self:
        return cls("model-{epoch}.npz", best_only=False)


class ProgressBar(Callback):
    """Epoch, losses and time left, on stderr: tqdm where installed, one plain line otherwise.

    Silent where stderr is no terminal, except in a notebook.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._bar: Any = None
        self._started = self._shown = time.perf_counter()
        self._visible = not self.history.live and (_in_notebook() or sys.stderr.isatty())
        if not self._visible:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=self.epochs, unit="epoch", mininterval=0.1, leave=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        now = time.perf_counter()
        last = epoch + 1 == self.epochs or self.model.stop_training
        if not self._visible:
            return
        if self._bar is not None:
            self._bar.update()
        if now - self._shown < 0.1 and not last:
            return
        self._shown = now
        shown = {name: f"{float(np.mean(v)):.4g}" for name, v in logs.items() if "rate" not in name}
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=last)
            return
        left = (now - self._started) / (epoch + 1) * (self.epochs - epoch - 1)
        values = "  ".join(f"{name} {value}" for name, value in shown.items())
        line = f"epoch {epoch + 1}/{self.epochs}  {values}  {left:.0f} s left"
        sys.stderr.write(f"\r{line:<78}")
        sys.stderr.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._visible and logs:
            sys.stderr.write("\n")


def _in_notebook() -> bool:
    """Whether this code runs in a notebook's kernel, without importing anything."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"
