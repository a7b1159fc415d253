"""`History`: what was recorded in training, one value an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._extras import require


class History(dict[str, list[Any]]):
    """Losses, metrics and the learning rate by name: lists with one value an epoch.

    For an ensemble each value is an array `(E,)`.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C ended training.
    seconds : float
        Time spent in `fit`.

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

    def plot(self, ax: Any = None) -> Any:
        """Draw the loss curves with matplotlib (needs the extra `plot`); returns the Axes.

        An ensemble shows its mean as a line and its members' range as a band.
        """
        if ax is None:
            ax = require("matplotlib.pyplot", "plot").subplots(layout="constrained")[1]
        epochs = np.arange(1, self.epochs + 1)
        for name, label in (("loss", "training loss"), ("val_loss", "validation loss")):
            if name not in self:
                continue
            table = np.array(self[name])
            mean = table if table.ndim == 1 else table.mean(axis=1)
            (line,) = ax.plot(epochs[: len(mean)], mean, label=label)
            if table.ndim == 2:
                band = table.min(axis=1), table.max(axis=1)
                ax.fill_between(epochs[: len(mean)], *band, alpha=0.2, color=line.get_color())
        ax.set(xlabel="epoch", ylabel="loss", title="Training")
        if all(np.min(values) > 0 for name, values in self.items() if name.endswith("loss")):
            ax.set_yscale("log")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        def show(value: Any) -> str:
            return f"{float(np.mean(value)):.4g}"

        curves = [f"{n} {show(v[0])} -> {show(v[-1])}" for n, v in self.items() if "rate" not in n]
        ended = ", interrupted" if self.interrupted else ""
        return f"History({', '.join([f'{self.epochs} epochs', *curves])}{ended})"
