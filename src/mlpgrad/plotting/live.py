"""`LivePlot`: the learning curves during training, as a figure or as one line of bars."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.extras import require
from mlpgrad._core.terminal import columns, fitted, in_notebook, is_terminal, write
from mlpgrad.plotting.curves import learning_curves
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.record import Record

BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", ".:-=+*%#"
WIDEST = 30
SHARE = 0.1
"""The largest fraction of the training time that drawing may take."""


class LivePlot(Callback):
    """Show the learning curves during training: as a figure in a notebook, as a line in a terminal.

    In a notebook one figure, which is updated in place, shows the losses and, beside them, the
    metrics (this needs the extra `plot`). In a terminal one line on stderr shows the epoch, a bar
    for the loss of each epoch, and the latest values. Either replaces the progress bar. If stderr
    is not a terminal, nothing is drawn, and the progress bar writes its lines.

    Parameters
    ----------
    interval : float, default 0.5
        The minimum time between two drawings, in seconds. If a drawing takes long, the interval is
        extended so that drawing takes at most a tenth of the training time. The last epoch is
        always drawn.

    Raises
    ------
    ValueError
        If `interval` is negative or NaN.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=40, callbacks=[mg.LivePlot()])
    >>> ax = history.plot()  # what a notebook shows in the end
    """

    def __init__(self, *, interval: float = 0.5) -> None:
        if not arguments.is_number(interval) or not interval >= 0:
            raise ValueError(
                f"interval expects seconds, 0 or more, got {arguments.shown(interval)}"
            )
        self.interval = float(interval)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._view: _Figure | _Line | None = None
        self._next, self._drawn = 0.0, 0  # the time of the next drawing, the epochs drawn
        if in_notebook():
            self._view = _Figure(self.epochs)
        elif is_terminal():
            self._view = _Line(self.epochs)
        self.history.live = self._view is not None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if self._view is not None and time.perf_counter() >= self._next:
            self._draw(self._view)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        epochs = self.history.epochs
        if self._view is None or not epochs:
            return
        if self._drawn < epochs:
            self._draw(self._view)
        self._view.close(self.history)

    def _draw(self, view: _Figure | _Line) -> None:
        started = time.perf_counter()
        view.draw(self.history)
        ended = time.perf_counter()
        # the first drawing also loads fonts, so its time is not typical
        cost = ended - started if self._drawn else 0.0
        self._drawn = self.history.epochs
        self._next = ended + max(self.interval, cost * (1 / SHARE - 1))


class _Figure:
    """One output of a notebook cell, which each drawing replaces."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._figure = require("matplotlib.figure", "plot").Figure
        self._notebook = require("IPython.display", "plot")
        self._handle: Any = None

    def draw(self, record: Record) -> None:
        measured = [name for name in record if name not in ("loss", "val_loss", "learning_rate")]
        panels = 2 if measured else 1
        figure = self._figure(figsize=(6 * panels, 4), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        learning_curves(record, ax=axes[0])
        axes[0].set_title(f"Training: epoch {record.epochs} of {self._epochs}")
        if measured:
            learning_curves(record, names=measured, ax=axes[1]).set_title("")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=90)
        image = self._notebook.Image(data=file.getvalue(), alt=f"Learning curves: {record!r}")
        if self._handle is None:
            self._handle = self._notebook.display(image, display_id=True)
        else:
            self._handle.update(image)

    def close(self, record: Record) -> None:
        """Do nothing: the last drawing stays."""


class _Line:
    """The last line of the terminal, which each drawing overwrites."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._started = epochs, time.perf_counter()
        self._bars = BARS if _can_write(BARS) else ASCII_BARS

    def draw(self, record: Record) -> None:
        left = (time.perf_counter() - self._started) * (self._epochs / record.epochs - 1)
        self._write(record, left)

    def _write(self, record: Record, left: float) -> None:
        width = columns()
        line = progress_line(record, self._epochs, left, width, self._bars)
        write(f"\r{line:<{width}}")

    def close(self, record: Record) -> None:
        if record.epochs < self._epochs:  # no time is left of a training that has ended early
            self._write(record, 0.0)
        write("\n")


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except (UnicodeEncodeError, AttributeError, LookupError):
        return False
    return True


def progress_line(
    record: Record,
    epochs: int,
    seconds_left: float,
    width: int,
    bars: str = BARS,
) -> str:
    """The epoch, a bar for each loss, the latest values and the time left, in at most `width`."""
    begin, end = f"epoch {record.epochs}/{epochs}", f"{seconds_left:.0f} s left"
    last = [f"{n} {np.mean(v[-1]):.4g}" for n, v in record.items() if n != "learning_rate"]
    free = width - len("  ".join([begin, *last, end])) - 2
    if free < 1:
        return fitted(begin, last, end, width)
    bar = min(epochs, WIDEST, free)
    drawn = sparkline([float(np.mean(value)) for value in record["loss"]], bar, bars)
    return "  ".join([begin, f"{drawn:<{bar}}", *last, end])


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """Draw numbers as a row of bars; the lowest number has the lowest bar, NaN and inf are `?`.

    The scale is logarithmic if all finite numbers are positive. If there are more numbers than
    `width`, groups of them are averaged.

    Examples
    --------
    >>> sparkline([8, 4, 2, 1], width=10)
    '█▆▃▁'
    >>> sparkline(range(-4, 4), width=4, bars="0123")
    '0123'
    """
    groups = np.array_split(np.asarray(values, float), min(width, len(values)))
    heights = np.array([group.mean() for group in groups])
    finite = np.isfinite(heights)
    known = heights[finite]
    if (known > 0).all():
        known = np.log(known)
    low = known.min(initial=np.inf)
    span = (known.max(initial=-np.inf) - low) or 1.0
    marks = iter(bars[round(height)] for height in (known - low) / span * (len(bars) - 1))
    return "".join(next(marks) if good else "?" for good in finite)
