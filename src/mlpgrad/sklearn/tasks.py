"""scikit-learn's callback protocol, available from its version 1.9 on."""

from __future__ import annotations

import copy
from typing import Any

from mlpgrad.training.callbacks import Callback

try:
    from sklearn.callback import CallbackSupportMixin as CallbackSupportMixin
except ImportError:

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Empty mixin, since this version of scikit-learn has no callbacks."""


class _FitTasks(Callback):
    """Notify scikit-learn's callbacks of each epoch, a subtask of the whole fit."""

    def __init__(self, estimator: Any, rows: Any) -> None:
        self.estimator, self.rows = estimator, rows
        self._told: dict[str, Any] = {
            "estimator": estimator,
            "X": rows.x,
            "y": rows.y,
            "metadata": None if rows.weights is None else {"sample_weight": rows.weights},
            "reconstruction_attributes": self._fitted,
        }

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        whole = self.estimator._init_callback_context(max_subtasks=self.epochs)
        self._whole = whole.call_on_fit_task_begin(**self._told)
        self._task: Any = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        task = self._whole.subcontext(task_name="epoch")
        self._task = task.call_on_fit_task_begin(**self._told)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        task, self._task = self._task, None
        if task.call_on_fit_task_end(**self._told):
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self._task is not None:  # the task of an epoch that was not run
            self._task.call_on_fit_task_end(estimator=self.estimator)
        self._whole.call_on_fit_task_end(**self._told)

    def _fitted(self) -> dict[str, Any]:
        """Return what an estimator needs to predict as if training had ended now."""
        model = self.estimator.model_.copy()
        twin = copy.copy(self.estimator)
        twin.model_ = model
        coefs, intercepts = twin._views()
        return {"model_": model, "coefs_": coefs, "intercepts_": intercepts}


def fit_tasks(estimator: Any, rows: Any) -> list[Callback]:
    """Return the callback that notifies scikit-learn's callbacks, if the estimator has any."""
    return [_FitTasks(estimator, rows)] if getattr(estimator, "_skl_callbacks", None) else []
