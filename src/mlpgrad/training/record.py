"""`Record`: the values that training records, one per epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad._core.arrays import Array


class Record(dict[str, list[Any]]):
    """Losses, metrics and the learning rate by name: lists with one value per epoch.

    For an ensemble each value is an array `(E,)`.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C ended training.
    seconds : float
        Time spent in `fit`.
    compiled : bool
        Whether the steps were compiled.
    live : bool
        Whether a callback shows the curves during training; the progress bar is then silent.
    oof_prediction : array (n, O) or None
        After a training with `folds`: the out-of-fold prediction of each row.
    oof_scores : dict
        The loss and the metrics of the out-of-fold predictions, by name.
    folds : array (n,) of int, or None
        The fold of each row.

    Examples
    --------
    >>> record = Record()
    >>> record.record({"loss": 0.7})
    >>> record.record({"loss": 0.2})
    >>> record["loss"], record
    ([0.7, 0.2], Record(2 epochs, loss 0.7 -> 0.2))
    """

    def __init__(self) -> None:
        super().__init__()
        self.interrupted = False
        self.seconds = 0.0
        self.live = False
        self.oof_prediction: Array | None = None
        self.oof_scores: dict[str, Any] = {}
        self.folds: Array | None = None
        self.compiled = False

    @property
    def epochs(self) -> int:
        """Number of epochs recorded."""
        return max(map(len, self.values()), default=0)

    def record(self, logs: dict[str, Any]) -> None:
        """Append the values of an epoch."""
        try:
            items = logs.items()
        except AttributeError:
            message = f"record expects a dict of values by name, got {shown(logs)}"
            raise TypeError(message) from None
        for name, value in items:
            self.setdefault(name, []).append(value)

    def last(self) -> dict[str, Any]:
        """Return the values of the last epoch."""
        return {name: values[-1] for name, values in self.items() if values}

    def __repr__(self) -> str:
        shown = {n: v for n, v in self.items() if n != "learning_rate" and v}
        curves = [f"{n} {as_text(v[0])} -> {as_text(v[-1])}" for n, v in shown.items()]
        ended = ", interrupted" if self.interrupted else ""
        return f"{type(self).__name__}({', '.join([f'{self.epochs} epochs', *curves])}{ended})"


def as_text(value: Any) -> str:
    """Return a logged value as short text: the mean over the members, or the value itself."""
    try:
        return f"{float(np.mean(value)):.4g}"
    except (TypeError, ValueError):
        return str(value)
