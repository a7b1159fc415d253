"""Progress on stderr during training."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.terminal import columns, fitted, in_notebook, is_terminal, write
from mlpgrad.training.baseline import baselines
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.record import as_text

SHORTEST = 0.1  # seconds between two updates of a terminal's last line
CLOSED = (AttributeError, ValueError, OSError)  # errors of a missing or closed stderr
LONGEST = 5.0  # seconds between two lines if stderr is not a terminal


class ProgressBar(Callback):
    """Show epoch, losses and time left on stderr; `fit(verbose=1)` adds a progress bar.

    In a terminal or a notebook it is one line: a bar of tqdm if it is installed (the extra
    `progress`), else plain text, of which a narrow terminal shows the first values until the
    training ends. Elsewhere, for example in the log of a batch job, a new line is
    written after every tenth of the epochs, and every five seconds if epochs take longer. Nothing
    is written if there is no stderr, or if another callback (`LivePlot`) shows the training. The
    accuracy or the loss on validation data is followed, in parentheses, by that of a constant
    prediction: the most frequent class, or the mean.

    Examples
    --------
    `fit(verbose=1)`, the default, does the same as

    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.SGD(0.1), epochs=3, verbose=0,
    ...                     callbacks=[mg.ProgressBar()])
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._view: Any = None
        if self.history.live or sys.stderr is None:
            return
        if in_notebook() or is_terminal():
            self._view = _bar(self.epochs) or _Line(self.epochs)
        else:
            self._view = _Log(self.epochs)
        self._baselines = baselines(self.model, self.session.validation)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if self._view is None:
            return
        last = epoch + 1 == self.epochs or self.model.stop_training
        shown = {name: as_text(v) for name, v in logs.items() if name != "learning_rate"}
        try:
            self._view.show(epoch, shown, self._baselines, last)
        except CLOSED:
            self._view = None

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._view is not None and logs:
            with suppress(*CLOSED):
                self._view.close()
        self._view = None


def _compared(values: dict[str, str], baselines: dict[str, str]) -> dict[str, str]:
    return {name: value + baselines.get(name, "") for name, value in values.items()}


class _Log:
    """Occasional lines, for a file."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self._started = self._shown = time.perf_counter()

    def show(
        self, epoch: int, values: dict[str, str], baselines: dict[str, str], last: bool
    ) -> None:
        now = time.perf_counter()
        if not last and not self.is_due(epoch, now):
            return
        self._shown = now
        begin = f"epoch {epoch + 1}/{self._epochs}"
        left = 0 if last else (now - self._started) / (epoch + 1) * (self._epochs - epoch - 1)
        end = f"{left:.0f} s left"
        plain = [f"{name} {value}" for name, value in values.items()]
        full = [f"{name} {value}" for name, value in _compared(values, baselines).items()]
        self.write("  ".join([begin, *full, end]), fitted(begin, plain, end, columns()), last)

    def is_due(self, epoch: int, now: float) -> bool:
        """Return whether to write after this epoch."""
        tenth = epoch * 10 // self._epochs < (epoch + 1) * 10 // self._epochs
        return tenth or now - self._shown >= LONGEST

    def write(self, line: str, short: str, last: bool) -> None:
        write(f"{line}\n")

    def close(self) -> None:
        """Do nothing: each line is complete."""


class _Line(_Log):
    """The last line of a terminal, which is overwritten."""

    _length = 0  # of the text that stands there

    def is_due(self, epoch: int, now: float) -> bool:
        return now - self._shown >= SHORTEST

    def write(self, line: str, short: str, last: bool) -> None:
        if not last and is_terminal() and len(line) > columns():
            line = short  # a line that wraps cannot be overwritten
        write(f"\r{line:<{self._length}}")
        self._length = len(line)

    def close(self) -> None:
        write("\n")


class _Bar:
    """A bar of tqdm."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._shown = bar, time.perf_counter()

    def show(
        self, epoch: int, values: dict[str, str], baselines: dict[str, str], last: bool
    ) -> None:
        self._bar.update()
        now = time.perf_counter()
        if last or now - self._shown >= SHORTEST:
            self._shown = now
            self._bar.set_postfix(_compared(values, baselines), refresh=last)

    def close(self) -> None:
        self._bar.close()


def _bar(epochs: int) -> _Bar | None:
    """Return a bar of tqdm; None if tqdm is not installed."""
    from importlib.util import find_spec

    try:
        if in_notebook() and find_spec("ipywidgets") is None:
            from tqdm.std import tqdm  # the notebook version would warn
        else:
            from tqdm.auto import tqdm
    except ImportError:
        return None
    with suppress(*CLOSED):
        return _Bar(tqdm(total=epochs, unit="epoch", mininterval=SHORTEST, leave=True))
    return None


def progress_bars(verbose: Any) -> list[Callback]:
    """Return the progress bar for `verbose`: one for any int above 0, as in other libraries."""
    if not isinstance(verbose, (bool, np.bool_)):
        verbose = arguments.count(verbose, "verbose", 0, fix="0 is silent, 1 shows progress") > 0
    return [ProgressBar()] if verbose else []
