"""`History`: the record of a training, with a picture and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.advice import advice
from mlpgrad._core.described import nearest
from mlpgrad._core.extras import require
from mlpgrad._core.habits import HISTORY
from mlpgrad.training.record import Record


class History(Record):
    """Losses, metrics and the learning rate by name: lists with one value an epoch.

    For an ensemble each value is an array `(E,)`. `fit` returns it.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C ended training.
    seconds : float
        Time spent in `fit`.
    live : bool
        Whether a callback shows the curves while training: a progress bar is then silent.
    oof_prediction : array (n, O) or None
        After a training with `folds`: the prediction of each row by the members that left it out,
        as `predict` gives it; averaged where several members did.
    oof_scores : dict
        The loss (without penalties, in the unit of the first member's training) and the metrics of
        these predictions, all rows together. With early stopping on the same folds they are a
        little too good, since each member has stopped where its own fold was predicted best.
    folds : array (n,) of int, or None
        The fold of each row: member j has left out fold j (modulo the number of folds).

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.moons(100, noise=0.2, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.05), epochs=30, verbose=0)
    >>> len(history["loss"])
    30
    >>> ax = history.plot()
    """

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

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Say where a name of another library, or a recorded one, is found."""
            recorded = f"; write history[{name!r}]" if name in self else ""
            known = [known for known in dir(type(self)) if not known.startswith("_")]
            instead = recorded or advice(name, HISTORY) or nearest(name, known)
            raise AttributeError(f"History has no attribute {name!r}{instead}")
