"""Callbacks that watch a value: stop early, lower the learning rate."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.checks import within
from mlpgrad._core.training_warning import warn
from mlpgrad.training.callbacks import Callback, expect_optimizer
from mlpgrad.training.data import check_validation, checked_validation
from mlpgrad.training.evaluate import evaluate
from mlpgrad.training.evaluate_again import evaluate_now
from mlpgrad.training.monitor import Measured, Monitor, check_options


class EarlyStopping(Callback):
    """Stop when the monitored value has not improved for `patience` epochs; keep the best weights.

    The best weights are always restored, however training ends: after a divergence, those from
    before it if they are better than the best epoch. Each member of an ensemble has its own best
    weights and its own patience, as if trained alone; training ends when the last member has
    stopped.

    The losses and metrics of mlpgrad declare whether smaller or larger values are better. For a
    training loss, the weights that are kept are those with which it was measured: if an epoch has
    one batch, those before the step; if it has several, the loss is evaluated again after the
    epoch, which takes about a third of the epoch's time. With `ExponentialMovingAverage` among the
    callbacks, in any order, the averaged weights are validated, compared and restored.

    Parameters
    ----------
    patience : int, default 10
        Number of epochs without improvement after which training stops. With 0, as with 1, it
        stops at the first epoch that is not better than the best, but never in the first epoch.
    monitor : str, optional
        Name of the value to watch; by default `val_loss` if there are validation data, else
        `loss`.
    min_delta : float, default 0
        Improvements smaller than this do not count.
    mode : {"min", "max"}, optional
        Whether smaller or larger values are better. Needed only for names that are not metrics of
        the training, and for metrics that do not declare it.
    validation_data : tuple (x, y) or (x, y, sample_weight), optional
        A separate validation set on which `monitor` is measured; by default its loss.

    Attributes
    ----------
    best : array (E,)
        The best value of each network; an array of one element for a single network.
    best_epoch : int, or array (E,) for an ensemble
        The epoch of the best value, counted from 0; -1 before the first.

    Warns
    -----
    TrainingWarning
        If training stops because no epoch was better than the first.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> stopping = mg.EarlyStopping(5, monitor="val_accuracy")
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=50, validation_split=0.2,
    ...                     callbacks=[stopping], verbose=0)
    >>> bool(stopping.best[0] == max(history["val_accuracy"]))
    True
    >>> 0 <= stopping.best_epoch < history.epochs
    True
    """

    kept = ("best", "_best_epoch", "_best", "_before")

    def __init__(
        self,
        patience: int = 10,
        *,
        monitor: str | None = None,
        min_delta: float = 0.0,
        mode: str | None = None,
        validation_data: tuple[Any, ...] | None = None,
    ) -> None:
        self.patience, self.monitor, self.min_delta = patience, monitor, min_delta
        self.mode, self.validation_data = mode, validation_data
        check_options(self, "patience")
        check_validation(validation_data, 0.0)

    @property
    def best_epoch(self) -> Any:
        """The epoch of the best value: an int, or an array with one element per member."""
        single = self.model.ensemble_size is None
        return int(self._best_epoch[0]) if single else self._best_epoch

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        networks = self.model.ensemble_size or 1
        self._monitor = Monitor(self)
        self.best = np.full(networks, self._monitor.worst)
        self._best_epoch = np.full(networks, -1)
        self._best = [self._rows(flat).copy() for flat in (self.model.params, self.model.state)]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.validation_data is None:
            self._monitor.begin_epoch()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        measured = self._measured(logs)
        value = np.broadcast_to(measured.value, self.best.shape)
        better = self._monitor.better(value, self.best, self.min_delta)
        better &= ~self._waited_out(epoch - 1)
        self.best[better], self._best_epoch[better] = value[better], epoch
        for kept, flat in zip(self._best, measured[1:], strict=True):
            kept[better] = self._rows(flat)[better]
        if self._waited_out(epoch).all():
            self.model.stop_training = True
            self._warn_if_never_better(epoch, logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        result = self.session.result()
        other = self._best_epoch < 0
        if self.session.diverged:  # the best may be far above those from before the divergence
            other |= self._monitor.better(self._present_value(), self.best)
        for kept, flat in zip(self._best, (result.params, result.state), strict=True):
            kept[other] = self._rows(flat)[other]
        params, state = self._best
        self.model.params = params.reshape(self.model.params.shape)
        self.model.state = state.reshape(self.model.state.shape)
        self.session.settled = True

    def _measured(self, logs: dict[str, Any]) -> Measured:
        """Return the monitored value, and the weights that have it."""
        if self.validation_data is None:
            return self._monitor.measured(logs)
        network = self.session.result()
        rows = checked_validation(network, self.validation_data)
        found = evaluate(network, *rows, self.session.metrics)
        value = self.monitored(found, (self.monitor or "loss").removeprefix("val_"))
        return Measured(value, network.params, network.state)

    def _present_value(self) -> Any:
        """Return the monitored value of the current weights; NaN if only a callback knows it."""
        if self.validation_data is not None:
            value = self._measured({}).value
        else:
            without = "loss" if self.session.validation is None else "val_loss"
            value = evaluate_now(self.session, self.monitor or without)
        return np.broadcast_to(np.nan if value is None else value, self.best.shape)

    def _waited_out(self, epoch: int) -> Any:
        """Return whether each network's patience is exhausted; never in the first epoch."""
        waited = epoch - self._best_epoch
        return (waited >= max(self.patience, 1)) & (epoch > 0)

    def _warn_if_never_better(self, epoch: int, logs: dict[str, Any]) -> None:
        perfect = self._monitor.larger and (self.best >= 1).all()  # accuracy, R2, AUC
        if (self._best_epoch > 0).any() or perfect:
            return
        own = self.validation_data is not None
        name = self.monitor or "loss" if own else self._monitor.named(logs)
        warn(
            f"EarlyStopping stopped after epoch {epoch + 1}: {name} was never better than in the "
            "first epoch, whose weights are kept; lower the learning rate, scale inputs and "
            f"targets, or increase patience (now {self.patience})"
        )

    def _rows(self, flat: Array) -> Array:
        """Return a flat array with one row per network."""
        return flat.reshape(self.model.ensemble_size or 1, -1)

    @classmethod
    def example(cls) -> Self:
        return cls(1)


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by `factor` when the monitored value has stopped improving.

    For an ensemble, the mean over the members is watched. The losses and metrics of mlpgrad
    declare whether smaller or larger values are better.

    Parameters
    ----------
    factor : float, default 0.1
        Factor between 0 and 1.
    patience : int, default 10
        Number of epochs without improvement to allow; 0 lowers the learning rate at the first.
    monitor : str, optional
        Name of the value to watch; by default `val_loss` if there are validation data, else `loss`.
    min_delta : float, default 1e-4
        Relative improvement that counts (PyTorch's `threshold`).
    lowest : float, default 0
        Lower bound of the factor by which the learning rate is scaled.
    mode : {"min", "max"}, optional
        Whether smaller or larger values are better. Needed only for names that are not metrics of
        the training, and for metrics that do not declare it.

    Attributes
    ----------
    best : float
        The best value so far.
    waited : int
        Number of epochs since the best value, or since the learning rate was lowered.

    Raises
    ------
    ValueError
        From `fit`, with a method that has no learning rate, such as `LBFGS`, or an optimizer that
        adapts its own steps, such as `Rprop`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, noise=0.2, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.5), epochs=60, verbose=0,
    ...                     callbacks=[mg.ReduceOnPlateau(patience=3)])
    >>> history["learning_rate"][0] > history["learning_rate"][-1]
    True
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
        mode: str | None = None,
    ) -> None:
        self.factor, self.patience, self.monitor = factor, patience, monitor
        self.min_delta, self.lowest, self.mode = min_delta, lowest, mode
        check_options(self, "patience")
        within(self, "factor", 0, 1, open_below=True)
        within(self, "lowest", 0)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        expect_optimizer(self, "a learning rate")
        if getattr(self.optimizer, "rate_is_initial", False):
            raise ValueError(
                f"ReduceOnPlateau expects an optimizer whose learning rate counts at every step, "
                f"got {self.optimizer!r}, which adapts its own steps; leave the callback out"
            )
        self._monitor = Monitor(self)
        self.best, self.waited = self._monitor.worst, 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        value = float(np.mean(self.monitored(logs, self.monitor)))
        margin = self.min_delta * abs(self.best) if np.isfinite(self.best) else 0.0
        if self._monitor.better(value, self.best, margin):
            self.best, self.waited = value, 0
            return
        self.waited += 1
        if self.waited > self.patience:
            scale = self.optimizer.learning_rate_scale
            self.optimizer.learning_rate_scale = max(scale * self.factor, min(scale, self.lowest))
            self.waited = 0

    @classmethod
    def example(cls) -> Self:
        return cls(0.5, patience=0)
