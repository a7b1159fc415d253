"""scikit-learn's callback protocol, available from its version 1.9 on."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpgrad.network.network import Network
from mlpgrad.training.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty mixin, since this version of scikit-learn has no callbacks."""


@contextmanager
def fit_task(estimator: Any, rows: Any) -> Iterator[None]:
    """Notify scikit-learn's callbacks of a fit, whose trainings are inside: `refit` has two."""
    if not getattr(estimator, "_skl_callbacks", None):
        yield
        return
    trainings = 2 if estimator.refit else 1
    whole = estimator._init_callback_context(max_subtasks=trainings * estimator.max_iter)
    told = _told(estimator, rows, lambda: estimator.model_)
    estimator._fit_task = whole.call_on_fit_task_begin(**told)
    try:
        yield
    finally:
        del estimator._fit_task
    whole.call_on_fit_task_end(**told)


def _told(estimator: Any, rows: Any, network: Any) -> dict[str, Any]:
    """Return what callbacks may ask for; `network()` is that of an estimator fitted so far."""
    return {
        "estimator": estimator,
        "X": rows.x,
        "y": lambda: estimator._labels(rows.y),
        "metadata": None if rows.weights is None else {"sample_weight": rows.weights},
        "reconstruction_attributes": lambda: _fitted(estimator, network()),
    }


def _fitted(estimator: Any, network: Network) -> dict[str, Any]:
    """Return what an estimator needs to predict with the parameters that a network has now."""
    twin = copy.copy(estimator)
    twin.model_ = estimator.model_.copy()
    twin.model_.params = network.params
    coefs, intercepts = twin._views()
    return {"model_": twin.model_, "coefs_": coefs, "intercepts_": intercepts}


class _FitTasks(Callback):
    """Notify scikit-learn's callbacks of each epoch, a subtask of the whole fit."""

    def __init__(self, estimator: Any, rows: Any) -> None:
        self.estimator = estimator
        self._told = _told(estimator, rows, lambda: self.session.result())
        self._task: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        task = self.estimator._fit_task.subcontext(task_name="epoch")
        self._task = task.call_on_fit_task_begin(**self._told)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        task, self._task = self._task, None
        if task.call_on_fit_task_end(**self._told):
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._task is not None:  # the task of an epoch that was not run
            self._task.call_on_fit_task_end(estimator=self.estimator)


def fit_tasks(estimator: Any, rows: Any) -> list[Callback]:
    """Return the callback that notifies scikit-learn's callbacks, if the estimator has any."""
    return [_FitTasks(estimator, rows)] if hasattr(estimator, "_fit_task") else []
