"""`History`: the record of a training, which can be plotted and converted to a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from mlpgrad._core.advice import advice
from mlpgrad._core.described import suggesting, unknown
from mlpgrad._core.extras import require
from mlpgrad._core.habits import HISTORY
from mlpgrad.training.record import Record


class History(Record):
    """Losses, metrics and the learning rate by name: lists with one value per epoch.

    For an ensemble each value is an array `(E,)`. `fit` returns it.

    Attributes
    ----------
    interrupted : bool
        Whether Ctrl-C ended training.
    seconds : float
        Time spent in `fit`.
    live : bool
        Whether a callback shows the curves during training; the progress bar is then silent.
    oof_prediction : array (n, O) or None
        After a training with `folds`: the out-of-fold prediction of each row in the units of
        `predict`, by the member that did not train on it, or the mean over several such members.
    oof_scores : dict
        The loss (without penalties, in the scaled units of the first member) and the metrics of
        the out-of-fold predictions, over all rows. With early stopping on the same folds they are
        slightly optimistic, because each member stopped where it predicted its own fold best.
    folds : array (n,) of int, or None
        The fold of each row: member j did not train on fold j (modulo the number of folds).

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

    @suggesting
    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row per epoch (needs the extra `frame`).

        Values of an ensemble become one column per member: `loss[0]`, `loss[1]` ...
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

    @suggesting
    def plot(self, ax: Any = None, *, names: Sequence[str] | None = None) -> Any:
        """Draw the loss curves: see `mlpgrad.plotting.learning_curves`; returns the Axes."""
        from mlpgrad.plotting import learning_curves

        return learning_curves(self, names=names, ax=ax)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise AttributeError, which says where a value or a name of another library is."""
            if name in self:
                raise AttributeError(f"History has no attribute {name!r}; write history[{name!r}]")
            raise AttributeError(unknown(type(self), name))

    def __missing__(self, name: Any) -> NoReturn:
        """Raise KeyError, which says what was recorded, and how to record a usual value."""
        recorded = f"recorded are {', '.join(self)}" if self else "nothing was recorded"
        near = [each for each in self if _means(name, each)] if isinstance(name, str) else [*self]
        instead = f"; write history[{near[0]!r}]" if near else advice(str(name), HISTORY)
        raise KeyError(f"History has no {name!r}; {recorded}{instead}")


def _means(name: str, recorded: str) -> bool:
    """Whether a name differs from a recorded one in case, or abbreviates it: acc for accuracy."""
    left = recorded.casefold().removeprefix(name.casefold())
    return bool(name) and left != recorded.casefold() and not left.startswith("_")
