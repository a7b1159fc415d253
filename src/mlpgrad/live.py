"""`LivePlot`: the curves of training while it runs, as a figure or as one line of bars."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.extras import require
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.progress import _in_notebook

if TYPE_CHECKING:
    from mlpgrad.training.record import Record

BARS, ASCII_BARS = "▁▂▃▄▅▆▇█", ".:-=+*%#"
WIDEST = 30
SHARE = 0.1
"""Of the time of training that drawing may take."""


class LivePlot(Callback):
    """Learning curves while training: a figure drawn anew in a notebook, one line in a terminal.

    In a notebook one figure shows the losses, and the metrics beside them (needs the extra
    `plot`). In a terminal one line on stderr shows the epoch, the loss of each epoch as a bar,
    and the latest values. Either takes the progress bar's place. Silent where stderr is no
    terminal.

    Parameters
    ----------
    interval : float
        Seconds from one drawing to the next, at least. Where drawing is slow they are more, so
        that it takes a tenth of the time at most. The last epoch is always drawn.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(200, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=5, callbacks=[mg.LivePlot()])
    """

    def __init__(self, *, interval: float = 0.5) -> None:
        if not interval >= 0:
            raise ValueError(f"interval expects seconds, 0 or more, got {interval}")
        self.interval = interval

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._view: _Figure | _Line | None = None
        self._next, self._drawn = 0.0, 0  # when to draw again, epochs drawn
        if _in_notebook():
            self._view = _Figure(self.epochs)
        elif sys.stderr.isatty():
            self._view = _Line(self.epochs)
        self.history.live = self._view is not None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if self._view is not None and time.perf_counter() >= self._next:
            self._draw(self._view)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._view is None or not self.history.epochs:
            return
        if self._drawn < self.history.epochs:
            self._draw(self._view)
        self._view.close()

    def _draw(self, view: _Figure | _Line) -> None:
        started = time.perf_counter()
        view.draw(self.history)
        ended = time.perf_counter()
        # the first drawing loads fonts and more, once: no measure for those to come
        cost = ended - started if self._drawn else 0.0
        self._drawn = self.history.epochs
        self._next = ended + max(self.interval, cost * (1 / SHARE - 1))


class _Figure:
    """One output of a notebook's cell, replaced by each drawing."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._figure = require("matplotlib.figure", "plot").Figure
        self._notebook = require("IPython.display", "plot")
        self._handle: Any = None

    def draw(self, history: Record) -> None:
        from mlpgrad.plotting import learning_curves

        measured = [name for name in history if not name.endswith(("loss", "learning_rate"))]
        panels = 2 if measured else 1
        figure = self._figure(figsize=(6 * panels, 4), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
        learning_curves(history, ax=axes[0]).set_title(
            f"Training: epoch {history.epochs} of {self._epochs}"
        )
        if measured:
            learning_curves(history, names=measured, ax=axes[1]).set_title("")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=90)
        image = self._notebook.Image(data=file.getvalue(), alt=f"Learning curves: {history!r}")
        if self._handle is None:
            self._handle = self._notebook.display(image, display_id=True)
        else:
            self._handle.update(image)

    def close(self) -> None:
        """The last drawing stays."""


class _Line:
    """The terminal's last line, written over by each drawing."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._started = epochs, time.perf_counter()
        self._bars = BARS if _can_write(BARS) else ASCII_BARS

    def draw(self, history: Record) -> None:
        import shutil  # loads the compressors: not a cost of every `import mlpgrad`

        columns = shutil.get_terminal_size().columns - 1
        left = (time.perf_counter() - self._started) * (self._epochs / history.epochs - 1)
        line = progress_line(history, self._epochs, left, columns, self._bars)
        sys.stderr.write(f"\r{line:<{columns}}")
        sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write("\n")


def _can_write(text: str) -> bool:
    try:
        text.encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def progress_line(
    history: Record, epochs: int, seconds_left: float, columns: int, bars: str = BARS
) -> str:
    """Epoch, a bar for each loss, the latest values and the time left, in at most `columns`."""
    last = {n: f"{np.mean(v):.4g}" for n, v in history.last().items() if "rate" not in n}
    begin = f"epoch {history.epochs}/{epochs}"
    end = "  ".join(f"{name} {value}" for name, value in last.items())
    end += f"  {seconds_left:.0f} s left"
    width = min(epochs, WIDEST, columns - len(begin) - len(end) - 4)
    if width < 1:
        return f"{begin}  {end}"[:columns]
    drawn = sparkline([float(np.mean(value)) for value in history["loss"]], width, bars)
    return f"{begin}  {drawn:<{width}}  {end}"


def sparkline(values: Sequence[float], width: int, bars: str = BARS) -> str:
    """Numbers as a row of bars: the lowest number is the lowest bar, `?` is not a finite number.

    The scale is logarithmic where all numbers are positive. More numbers than `width` are
    averaged in groups.

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
