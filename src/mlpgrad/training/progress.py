"""Progress on stderr while training."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad.training.callbacks import Callback

if TYPE_CHECKING:
    pass


class ProgressBar(Callback):
    """Epoch, losses and time left, on stderr: tqdm where installed, one plain line otherwise.

    Silent where stderr is no terminal, except in a notebook.
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._bar: Any = None
        self._started = self._shown = time.perf_counter()
        self._visible = not self.history.live and (_in_notebook() or sys.stderr.isatty())
        if not self._visible:
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=self.epochs, unit="epoch", mininterval=0.1, leave=True)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        now = time.perf_counter()
        last = epoch + 1 == self.epochs or self.model.stop_training
        if not self._visible:
            return
        if self._bar is not None:
            self._bar.update()
        if now - self._shown < 0.1 and not last:
            return
        self._shown = now
        shown = {name: f"{float(np.mean(v)):.4g}" for name, v in logs.items() if "rate" not in name}
        if self._bar is not None:
            self._bar.set_postfix(shown, refresh=last)
            return
        left = (now - self._started) / (epoch + 1) * (self.epochs - epoch - 1)
        values = "  ".join(f"{name} {value}" for name, value in shown.items())
        line = f"epoch {epoch + 1}/{self.epochs}  {values}  {left:.0f} s left"
        sys.stderr.write(f"\r{line:<78}")
        sys.stderr.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._visible and logs:
            sys.stderr.write("\n")


def _in_notebook() -> bool:
    """Whether this code runs in a notebook's kernel, without importing anything."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"
