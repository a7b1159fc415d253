"""`History`: what was recorded in training, one value an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.extras import require


class History(dict[str, list[Any]]):
    """Losses, metrics and the learning rate by name: lists with one value an epoch.

    For an ensemble each value is an array `(E,)`.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C ended training.
    seconds : float
        Time spent in `fit`.
    live : bool
        Whether a callback shows the curves while training: a progress bar is then silent.

    Examples
    --------
    >>> history = History()
    >>> history.record({"loss": 0.7})
    >>> history.record({"loss": 0.2})
    >>> history["loss"], history
    ([0.7, 0.2], History(2 epochs, loss 0.7 -> 0.2))
    """

    def __init__(self) -> None:
        super().__init__()
        self.interrupted = False
        self.seconds = 0.0
        self.live = False

    @property
    def epochs(self) -> int:
        """Number of epochs recorded."""
        return max(map(len, self.values()), default=0)

    def record(self, logs: dict[str, Any]) -> None:
        """Append one epoch's values."""
        for name, value in logs.items():
            self.setdefault(name, []).append(value)

    def last(self) -> dict[str, Any]:
        """The latest epoch's values."""
        return {name: values[-1] for name, values in self.items()}

    def to_frame(self) -> Any:
        """A pandas DataFrame, one row an epoch (needs the extra `frame`).

        Values of an ensemble become one column a member: `loss[0]`, `loss[1]` ...
        """
        columns: dict[str, Any] = {}
        for name, values in self.items():
            table = np.array(values)
            if table.ndim == 1:
                columns[name] = table
            else:
                columns |= {f"{name}[{i}]": table[:, i] for i in range(table.shape[1])}
        frame = require("pandas", "frame").DataFrame(columns)
        return frame.rename_axis("epoch")

    def plot(self, ax: Any = None, *, names: Sequence[str] | None = None) -> Any:
        """Draw the loss curves: see `mlpgrad.plotting.learning_curves`; returns the Axes."""
        from mlpgrad.plotting import learning_curves

        return learning_curves(self, names=names, ax=ax)

    def __repr__(self) -> str:
        def show(value: Any) -> str:
            return f"{float(np.mean(value)):.4g}"

        curves = [f"{n} {show(v[0])} -> {show(v[-1])}" for n, v in self.items() if "rate" not in n]
        ended = ", interrupted" if self.interrupted else ""
        return f"History({', '.join([f'{self.epochs} epochs', *curves])}{ended})"
