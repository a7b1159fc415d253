"""Callbacks: hooks around epochs and batches, with the names that Keras uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.advice import advice, nearest
from mlpgrad._core.arrays import Array
from mlpgrad._core.calls import check_takes, is_function, is_own
from mlpgrad._core.described import Described
from mlpgrad._core.habits import ATTRIBUTES
from mlpgrad._core.stateful import Stateful
from mlpgrad.metrics.base import metric_called, split_name

if TYPE_CHECKING:
    from mlpgrad.network.network import Network
    from mlpgrad.optimizers.base import Optimizer
    from mlpgrad.training.record import Record


HOOKS = {
    "on_train_begin": (),
    "on_train_end": ("logs",),
    "on_epoch_begin": ("epoch",),
    "on_epoch_end": ("epoch", "logs"),
    "on_train_batch_begin": ("batch", "logs"),
    "on_train_batch_end": ("batch", "logs"),
}
"""What `fit` gives each hook."""


class Callback(Described, Stateful):
    """Base class of callbacks: override the hooks that you need.

    `fit` sets `model`, `optimizer`, `history`, `epochs` and `session` before the first hook. At the
    end it removes `session`, which holds the data.
    Setting `self.model.stop_training = True` ends training. Hooks on batches cost time only if
    they are overridden. What a hook adds to `logs` is seen by the callbacks after it, but not
    recorded: `self.history.setdefault(name, []).append(value)` records it.

    The attributes that a callback keeps from epoch to epoch are named in `kept`, so that a resumed
    training continues with them. A callback takes part in one training at a time.

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

    _calls_checked = True
    _made_once = True
    _made_by = "its first training; give it to fit"
    _direct_on_train_batch_begin: Callable[[int, dict[str, Any]], None]
    _direct_on_train_batch_end: Callable[[int, dict[str, Any]], None]

    session: Any
    """The `Session` of the running `fit`; it has a method `snapshot()`."""
    model: Network
    optimizer: Optimizer
    history: Record
    epochs: int

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Called before the first epoch."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Called after the last epoch, even if training was interrupted or failed."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Called before each epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        """Called after each epoch with its loss and metrics by name."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any]) -> None:
        """Called before each batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any]) -> None:
        """Called after each batch with its loss."""

    def final_params(self) -> Array | None:
        """Return the parameters that `fit` should end with; None for the last ones.

        They have the shape of `model.params`. The session validates them, and early stopping and
        checkpoints keep them. `ExponentialMovingAverage` returns its average.
        """
        return None

    def follows_batches(self) -> bool:
        """Whether a hook on batches is overridden."""
        return self.overrides("on_train_batch_begin") or self.overrides("on_train_batch_end")

    def overrides(self, hook: str) -> bool:
        """Whether a hook is overridden, by the class or for this object alone."""
        return hook in vars(self) or getattr(type(self), hook) is not getattr(Callback, hook)

    def monitored(self, logs: dict[str, Any], name: str | None) -> Any:
        """Return the logged value `name`; by default `val_loss` if it is logged, else `loss`."""
        name = name or ("val_loss" if "val_loss" in logs else "loss")
        if name not in logs:
            raise KeyError(f"{self!r} found no {name!r} in the logs{_measured_as(name, logs)}")
        if np.asarray(logs[name]).dtype.kind not in "biuf":
            found = arguments.shown(logs[name])
            raise TypeError(f"{self!r} expects a number as {name!r} in the logs, got {found}")
        return logs[name]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session, which ends with `fit`."""
        return {k: v for k, v in super().__getstate__().items() if k != "session"}

    @classmethod
    def example(cls) -> Self:
        """Return a callback with non-default options, for tests that go through every class."""
        return cls()


def _measured_as(name: str, logs: dict[str, Any]) -> str:
    """Return what to write for a value that is not in the logs."""
    kind, bare = split_name(name)
    metric = metric_called(bare)
    if metric is None:
        return nearest(name, logs)
    measured = f"{kind}{metric.name}"
    there = next((each for each in (measured, f"val_{metric.name}") if each in logs), None)
    if there is not None:
        return f"; did you mean {there!r}?"
    renamed = "" if measured == name else f", and write monitor={measured!r}"
    return f"; give fit metrics=[mg.{metric!r}]{renamed}"


def expect_optimizer(callback: Callback, part: str) -> None:
    """Raise ValueError if a callback is used with a method that has no optimizer, such as LBFGS.

    Parameters
    ----------
    callback : Callback
        A callback at the beginning of a training.
    part : str
        The part of an optimizer that it needs.
    """
    if not hasattr(callback.optimizer, "learning_rate_scale"):
        raise ValueError(
            f"{type(callback).__name__} expects an optimizer with {part}, got "
            f"{callback.optimizer!r}, which has none; leave the callback out"
        )


@contextmanager
def taking_part(callbacks: Sequence[Callback], session: Any) -> Iterator[None]:
    """Set what callbacks know of a training; free the session with its data, and what knows it.

    Raises
    ------
    RuntimeError
        If a callback takes part in another training, whose state it would mix with this one's.
    """
    try:
        for one in callbacks:
            if vars(one).setdefault("session", session) is not session:  # atomic, for threads
                raise RuntimeError(
                    f"{one!r} takes part in a fit that has not ended; give each fit callbacks of "
                    "its own"
                )
            one.model, one.epochs = session.network, session.epochs
            one.optimizer, one.history = session.method.optimizer, session.record
        yield
    finally:
        for one in callbacks:
            if vars(one).get("session") is session:
                for name in ("session", "_monitor"):
                    vars(one).pop(name, None)


def in_turn(callbacks: Sequence[Callback], hook: str) -> Iterator[Callback]:
    """Yield callbacks whose hook is to be called; the session knows which of them are left."""
    for position, callback in enumerate(callbacks, 1):
        callback.session.left = hook, callbacks[position:]
        yield callback


def _check_hooks(callback: Callback) -> None:
    """Raise TypeError if a hook of a user's class cannot be called as `fit` calls it."""
    for hook, given in HOOKS.items():
        function = getattr(callback, hook)
        if not is_own(function):
            written = ", ".join(["self", *given]) + ", logs=None" * ("logs" not in given)
            name = f"{type(callback).__name__}.{hook}"
            check_takes(function, name, given, f"def {hook}({written})")


def check_callbacks(callbacks: Any) -> list[Callback]:
    """Return the callbacks that the user gave, as a list.

    Raises
    ------
    TypeError
        If it is not a list of callbacks, or if a callback has a hook that only other libraries
        call; the message says what to write.
    ValueError
        If an object is in the list twice.
    """
    several = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
    for thing in several:
        if is_function(thing):
            name = getattr(thing, "__name__", type(thing).__name__)
            raise TypeError(
                f"callbacks expects objects such as EarlyStopping(10), got the function {name}; "
                f"write a subclass of Callback whose on_epoch_end(self, epoch, logs) calls it"
            )
    found = arguments.objects(callbacks, "callbacks", Callback, "EarlyStopping(10)")
    for position, callback in enumerate(found):
        _check_hooks(callback)
        for name in set(dir(type(callback))) & ATTRIBUTES["Callback"].keys():
            if name.startswith("on_"):
                raise TypeError(
                    f"fit never calls {type(callback).__name__}.{name}, a hook of another "
                    f"library{advice(name, ATTRIBUTES['Callback'])}"
                )
        if any(callback is other for other in found[:position]):
            raise ValueError(
                f"callbacks expects each object once, got {callback!r} twice; make a second one"
            )
    return found
