"""Which of two logged values is better, and whose weights a logged value belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.checks import within
from mlpgrad.metrics.base import Metric, known_metrics
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.evaluate_again import evaluate_again
from mlpgrad.training.minibatch import Minibatch


def larger_is_better(name: str, metrics: Iterable[Metric] = ()) -> bool | None:
    """Whether an improvement of a logged value is an increase; None where it is not known.

    A metric knows its direction (`Metric.larger_is_better`), and a smaller loss is always better.
    This is the one place that decides it: early stopping, checkpoints, plateaus and plots ask here.

    Parameters
    ----------
    name : str
        A key of `History`, such as `val_accuracy`.
    metrics : iterable of Metric, default ()
        The metrics of the training; those of the package need not be given.

    Examples
    --------
    >>> larger_is_better("val_accuracy"), larger_is_better("val_loss"), larger_is_better("age")
    (True, False, None)
    """
    bare = name.removeprefix("val_").removeprefix("ensemble_")
    given = {metric.name: metric for metric in metrics}
    if bare not in given and (bare == "loss" or bare.endswith("_loss")):
        return False
    metric = given.get(bare) or known_metrics().get(bare)
    return None if metric is None else metric.larger_is_better


def check_options(callback: Any, *counts: str) -> None:
    """Raise an error if the options of a callback that watches a value are not valid.

    Parameters
    ----------
    callback : Callback
        With the options `monitor` and `mode`.
    *counts : str
        Names of its options that are counts from 0.
    """
    kind = type(callback).__name__
    mode = callback.mode
    if not (mode is None or (isinstance(mode, str) and mode in ("min", "max"))):
        raise ValueError(f'{kind}: mode expects "min", "max" or None, got {shown(mode)}')
    if callback.monitor is not None and not isinstance(callback.monitor, str):
        raise TypeError(
            f'{kind}: monitor expects a name such as "val_loss", got {callback.monitor!r}'
        )
    for name in counts:
        value = getattr(callback, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f"{kind}: {name} expects a number of epochs >= 0, got {value!r}")
    if hasattr(callback, "min_delta"):
        within(callback, "min_delta", 0)


class Measured(NamedTuple):
    """A logged value, and the weights and statistics with which the network has it."""

    value: Any
    params: Array
    state: Array


class Monitor:
    """One logged value of a training: its name, its direction, its weights.

    Parameters
    ----------
    callback : Callback
        Has the options `monitor` and `mode`, and is about to begin a training.

    Attributes
    ----------
    larger : bool
        Whether larger is better.
    worst : float
        What every number is better than.

    Raises
    ------
    ValueError
        If the direction of the value is not known, or if the value cannot exist.
    """

    def __init__(self, callback: Any) -> None:
        self.callback, self.name = callback, callback.monitor
        known = larger_is_better(self.name or "loss", self.session.metrics or ())
        if callback.mode is None and known is None:
            raise ValueError(
                f"{callback!r}: whether a larger {self.name} is better is not known; "
                f'write mode="max" or mode="min", or set larger_is_better in the class of the '
                f"metric"
            )
        self.larger = bool(known) if callback.mode is None else callback.mode == "max"
        self.worst = -np.inf if self.larger else np.inf
        if getattr(callback, "validation_data", None) is None:
            self.expect(self.name or "")
        callback._before = None  # there, so that a snapshot has it

    @property
    def session(self) -> Any:
        """The running training; a copy of the callback has none."""
        return self.callback.session

    def expect(self, name: str) -> None:
        """Raise an error if training will log no such value, as far as that is known."""
        session = self.session
        earlier = session.callbacks[: session.callbacks.index(self.callback)]
        if name.startswith("val_") and session.validation is None and not any(map(_adds, earlier)):
            raise ValueError(
                f"{self.callback!r}: there is no {name}, since there is no validation data; give "
                f"fit validation_data or validation_split"
            )

    def better(self, value: Any, best: Any, margin: Any = 0.0) -> Any:
        """Whether a value is better than the best so far by more than a margin; NaN never is."""
        return value > best + margin if self.larger else value < best - margin

    def named(self, logs: Mapping[str, Any]) -> str:
        """The name of the value: `val_loss` where there is one, else `loss`, or the one given."""
        return self.name or ("val_loss" if "val_loss" in logs else "loss")

    # whose weights a value belongs to

    def begin_epoch(self) -> None:
        """Keep the weights of an epoch with one step: its training loss is theirs."""
        session, network = self.session, self.session.network
        batches = session.batches
        watched = self.name is None or not self.name.startswith("val_")
        if self.name is None and session.validation is not None:
            watched = False
        one = isinstance(batches, Minibatches) and batches.count == 1
        if watched and one and isinstance(session.method, Minibatch):
            self.callback._before = [network.params.copy(), network.state.copy()]

    def measured(self, logs: dict[str, Any]) -> Measured:
        """The value of this epoch, with the weights that it was measured with.

        A value of the validation set is that of the present weights. What was measured on the
        training batches is not: with one batch an epoch it belongs to the weights before the
        step, with several it is evaluated again. A value that another callback has put into
        the logs is taken as it is.
        """
        value = self.callback.monitored(logs, self.name)
        network, name = self.session.result(), self.named(logs)
        before, self.callback._before = self.callback._before, None
        if self._is_of_batches(name, value):
            if before is not None and network is self.session.network:
                return Measured(value, *before)
            value = evaluate_again(self.session, network, name, value)
        return Measured(value, network.params, network.state)

    def _is_of_batches(self, name: str, value: Any) -> bool:
        """Whether the session has measured this value on the training batches."""
        names = ["loss", *(metric.name for metric in self.session.metrics or ())]
        return name in names and value is self.session.record[name][-1]


def _adds(callback: Callback) -> bool:
    """Whether a callback may add values to the logs: those of this package do not."""
    cls = type(callback)
    own = cls.__module__.startswith("mlpgrad.")
    return not own and cls.on_epoch_end is not Callback.on_epoch_end
