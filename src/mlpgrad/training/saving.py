"""Saving the best model of a training."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mlpgrad._core import arguments, paths
from mlpgrad._core.advice import nearest
from mlpgrad._core.checks import within
from mlpgrad.training.callbacks import Callback
from mlpgrad.training.monitor import Measured, Monitor, check_options

if TYPE_CHECKING:
    from pathlib import Path


class ModelCheckpoint(Callback):
    """Save the model after each epoch that is the best so far (or after every epoch).

    The best value is kept from one `fit` to the next, so that a worse model never replaces a
    better one in the file. The saved weights are those of the monitored value, as in
    `EarlyStopping`: for a training loss, the weights with which it was measured; with
    `ExponentialMovingAverage`, the averaged weights. For an ensemble, the mean over the members is
    compared.

    Parameters
    ----------
    path : str or Path
        Name of the file. `{epoch}` is replaced by the number of the epoch, counted from 1, and the
        name of a logged value by that value, as in `"model-{epoch:02d}-{val_loss:.3f}.npz"`.
        Literal braces are doubled.
    monitor : str, optional
        Name of the value to watch; by default `val_loss` if there are validation data, else `loss`.
    best_only : bool, default True
        If False, save after every epoch, with the current weights.
    mode : {"min", "max"}, optional
        Whether smaller or larger values are better. Needed only for names that are not metrics of
        the training, and for metrics that do not declare it.
    initial_best : float, optional
        Save only models that are better than this value, for instance that of a model saved
        earlier by another process.

    Attributes
    ----------
    best : float or None
        The best value so far; None before the first.

    Raises
    ------
    ValueError
        If the path has an invalid placeholder, or one that does not name a logged value; or if a
        second `fit` monitors a different value than the one `best` was measured in.

    Examples
    --------
    >>> import pathlib, tempfile, mlpgrad as mg
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> x, y = mg.datasets.moons(100, random_state=0)
    >>> model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> keep = mg.ModelCheckpoint(folder / "best-{epoch}.npz", monitor="val_accuracy")
    >>> history = model.fit(x, y, optimizer=mg.Adam(0.1), epochs=3, validation_split=0.2,
    ...                     callbacks=[keep], verbose=0)
    >>> keep.best == max(history["val_accuracy"])
    True
    """

    kept = ("best", "_best_of", "_before")

    def __init__(
        self,
        path: str | Path,
        *,
        monitor: str | None = None,
        best_only: bool = True,
        mode: str | None = None,
        initial_best: float | None = None,
    ) -> None:
        self.path, self.monitor = path, monitor
        self.best_only = arguments.flag(best_only, "ModelCheckpoint: best_only")
        self.mode, self.initial_best = mode, initial_best
        check_options(self)
        if initial_best is not None:
            within(self, "initial_best", -np.inf)
        self._names = _names_in(path)
        self.best, self._best_of = initial_best, None if initial_best is None else monitor

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._monitor = Monitor(self)
        for name in self._names:
            self._monitor.expect(name)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.best_only:
            self._monitor.begin_epoch()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        path = self._path(epoch, logs)
        measured = self._monitor.measured(logs) if self.best_only else self._present(logs)
        self._compare_alike(self._monitor.named(logs))
        value = float(np.mean(measured.value))
        best = self._monitor.worst if self.best is None else self.best
        better = bool(self._monitor.better(value, best))
        if better:
            self.best = value
        if better or not self.best_only:
            self._save(path, measured)

    def _present(self, logs: dict[str, Any]) -> Measured:
        """Return the logged value and the current weights."""
        network = self.session.result()
        return Measured(self.monitored(logs, self.monitor), network.params, network.state)

    def _compare_alike(self, name: str) -> None:
        """Raise an error if `best` belongs to another logged value."""
        if self._best_of not in (None, name) and self.best is not None:
            raise ValueError(
                f"{self!r}: the best value so far, {self.best:.4g}, is one of {self._best_of}, "
                f"but this training monitors {name}; choose one with monitor=, or make a new "
                "ModelCheckpoint"
            )
        self._best_of = name

    def _path(self, epoch: int, logs: dict[str, Any]) -> str:
        """Return the name of the file for this epoch."""
        known = [*logs, "epoch"]
        for name in self._names:
            if name not in known:
                raise ValueError(
                    f"{self!r}: the path has {{{name}}}, which is not logged"
                    f"{nearest(name, known)}; logged: {', '.join(known)}"
                )
        others = [name for name in self._names if name != "epoch"]
        values: Any = {name: float(np.mean(self.monitored(logs, name))) for name in others}
        return os.fspath(self.path).format(epoch=epoch + 1, **values)

    def _save(self, path: str, measured: Measured) -> None:
        """Write the model with the weights that were measured."""
        from mlpgrad.exchange import npz  # loads archives and JSON, only if something is saved

        model = self.model
        if measured.params is not model.params:
            model = model.copy()
            model.params, model.state = measured.params, measured.state
        npz.save(model, path)

    @classmethod
    def example(cls) -> Self:
        return cls("model-{epoch}.npz", best_only=False)


def _names_in(path: Any) -> list[str]:
    """Check a path and return the placeholders in it."""
    text = paths.path(path, "ModelCheckpoint: path")
    from string import Formatter

    try:
        names = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
        strange = [name for name in names if not name.isidentifier()]
        if strange:
            raise ValueError(f"{{{strange[0]}}} is not the name of a logged value")
        text.format(**{name: 1 if name == "epoch" else 0.5 for name in names})
    except (ValueError, KeyError, IndexError) as error:
        raise ValueError(
            f'ModelCheckpoint: path expects placeholders such as "{{epoch}}" or '
            f'"{{val_loss:.2f}}", and doubled braces elsewhere, got {text!r}: {error}'
        ) from None
    return names
