"""Comparison of logged values, and the weights to which a logged value belongs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array
from mlpgrad._core.calls import is_own
from mlpgrad._core.checks import unquoted, within
from mlpgrad.metrics.base import Metric, known_metrics, metric_called, split_name
from mlpgrad.training.batches import Minibatches
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.evaluate_again import evaluate_again
from mlpgrad.training.minibatch import Minibatch


def larger_is_better(name: str, metrics: Iterable[Metric] = ()) -> bool | None:
    """Return whether larger values of a logged quantity are better; None if not known.

    A metric declares its direction (`Metric.larger_is_better`), and a smaller loss is always
    better. Early stopping, checkpoints, `ReduceOnPlateau` and plots all use this function.

    Parameters
    ----------
    name : str
        A key of `History`, such as `val_accuracy`.
    metrics : iterable of Metric, default ()
        The metrics of the training; those of mlpgrad need not be given.

    Examples
    --------
    >>> larger_is_better("val_accuracy"), larger_is_better("val_loss"), larger_is_better("age")
    (True, False, None)
    """
    _, bare = split_name(name)
    given = {metric.name: metric for metric in metrics}
    if bare not in given and (bare == "loss" or bare.endswith("_loss")):
        return False
    metric = given.get(bare) or known_metrics().get(bare)
    return None if metric is None else metric.larger_is_better


def check_options(callback: Any, *counts: str) -> None:
    """Raise an error if the options of a callback that monitors a value are not valid.

    Parameters
    ----------
    callback : Callback
        A callback with the options `monitor` and `mode`.
    *counts : str
        Names of its options that are counts, at least 0.
    """
    kind = type(callback).__name__
    mode = callback.mode
    if not (mode is None or (isinstance(mode, str) and mode in ("min", "max"))):
        raise ValueError(
            f'{kind}: mode expects "min", "max" or None, got {shown(mode)}; with None, which is '
            "the default, the metric says whether larger values are better"
        )
    for name in ("factor", "patience"):
        value = vars(callback).get(name)
        if isinstance(value, str) and not unquoted(value):  # in Keras the name comes first
            raise TypeError(
                f"{kind}: {name} expects a number, got {shown(value)}; "
                f"write mg.{kind}(monitor={shown(value)})"
            )
    if callback.monitor is not None and not isinstance(callback.monitor, str):
        raise TypeError(
            f'{kind}: monitor expects a name such as "val_loss", got {shown(callback.monitor)}'
        )
    for name in counts:
        value = getattr(callback, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
            raise ValueError(f"{kind}: {name} expects a number of epochs >= 0, got {shown(value)}")
    if hasattr(callback, "min_delta"):
        within(callback, "min_delta", 0)


class Measured(NamedTuple):
    """A logged value, and the weights and statistics that it belongs to."""

    value: Any
    params: Array
    state: Array


class Monitor:
    """A monitored value of a training: its name, its direction and its weights.

    Parameters
    ----------
    callback : Callback
        A callback with the options `monitor` and `mode`, at the beginning of a training.

    Attributes
    ----------
    larger : bool
        Whether larger values are better.
    worst : float
        The value that every number is better than.

    Raises
    ------
    ValueError
        If the direction of the value is not known, or if the value cannot exist.
    """

    def __init__(self, callback: Any) -> None:
        self.callback, self.name = callback, callback.monitor
        known = larger_is_better(self.name or "loss", self.session.metrics or ())
        if callback.mode is None and known is None:
            kind, bare = split_name(self.name)
            metric = metric_called(bare)
            other = bare if metric is None else metric.name
            meant = "" if other == bare else f"did you mean {kind + other!r}? Else "
            raise ValueError(
                f"{callback!r}: it is not known whether a larger {self.name} is better; {meant}"
                'write mode="max" or mode="min", or set larger_is_better in the class of the metric'
            )
        self.larger = bool(known) if callback.mode is None else callback.mode == "max"
        self.worst = -np.inf if self.larger else np.inf
        if getattr(callback, "validation_data", None) is None:
            self.expect(self.name or "")
        callback._before = None  # defined, so that snapshots contain it

    @property
    def session(self) -> Any:
        """The running training."""
        return self.callback.session

    def expect(self, name: str) -> None:
        """Raise an error if it is known that training will not log this value."""
        session = self.session
        earlier = session.callbacks[: session.callbacks.index(self.callback)]
        if name.startswith("val_") and session.validation is None and not any(map(_adds, earlier)):
            raise ValueError(
                f"{self.callback!r}: there is no {name}, since there is no validation data; give "
                f"fit validation_data or validation_split"
            )

    def better(self, value: Any, best: Any, margin: Any = 0.0) -> Any:
        """Return whether a value is better than the best so far by over a margin; NaN never is."""
        return value > best + margin if self.larger else value < best - margin

    def named(self, logs: Mapping[str, Any]) -> str:
        """Return the name of the value: the given one, else `val_loss` if it exists, or `loss`."""
        return self.name or ("val_loss" if "val_loss" in logs else "loss")

    # the weights that a value belongs to

    def begin_epoch(self) -> None:
        """Keep the weights before an epoch with one step, since its training loss is theirs."""
        session, network = self.session, self.session.network
        batches = session.batches
        name = self.name or ("loss" if session.validation is None else "val_loss")
        one = isinstance(batches, Minibatches) and batches.count == 1
        if one and isinstance(session.method, Minibatch) and not name.startswith("val_"):
            self.callback._before = [network.params.copy(), network.state.copy()]

    def measured(self, logs: dict[str, Any]) -> Measured:
        """Return the value of this epoch, and the weights with which it was measured.

        A value on the validation set belongs to the current weights. A value on the training
        batches does not: with one batch per epoch it belongs to the weights before the step; with
        several it is evaluated again. A value that another callback has logged is used as it is.
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
        """Return whether the session has measured this value on the training batches."""
        names = ["loss", *(metric.name for metric in self.session.metrics or ())]
        return name in names and value is self.session.record[name][-1]


def _adds(callback: Callback) -> bool:
    """Return whether a callback may add values to the logs; those of mlpgrad do not."""
    cls = type(callback)
    own = is_own(cls)
    return not own and cls.on_epoch_end is not Callback.on_epoch_end
