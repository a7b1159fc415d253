"""Solvers `adam` and `sgd`: epochs of minibatches, with scikit-learn's stopping rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad.optimizers import Optimizer
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.training.session import Method, Session


class Epochs(Method):
    """Training in epochs of minibatches; `after_epoch(loss)` returns whether to continue.

    In contrast to `mlpgrad.training.Minibatch`, a loss that is not finite does not end training:
    scikit-learn's estimators may still return the weights of an earlier epoch.
    """

    def __init__(self, gradient: BatchGradient, after_epoch: Callable[[float], bool]) -> None:
        self._gradient, self._after_epoch = gradient, after_epoch

    @property
    def optimizer(self) -> Optimizer:
        return self._gradient.optimizer

    def train(self, session: Session) -> None:
        gradient, record = self._gradient, session.record
        self.optimizer.attach(session.network)
        session.fitting.close()
        try:
            going = True
            while going:
                session.begin_epoch()
                if session.callbacks:
                    session.network.follow()
                    self.optimizer.follow_state()
                    gradient.refresh()
                loss, rows = self._epoch(session)
                going = session.end_epoch(loss, rows)
                if not record.interrupted:
                    mean = loss / rows
                    mean = mean if type(mean) is float else float(np.mean(mean))
                    going = self._after_epoch(mean) and going
        finally:
            session.fitting.open()

    def _epoch(self, session: Session) -> tuple[Any, int]:
        """Train for an epoch; return the sum of the losses, and the number of rows."""
        gradient, network = self._gradient, session.network
        size = session.batches.batch_size
        assert size is not None
        update = gradient.update(size)
        told = [callback for callback in session.callbacks if callback.follows_batches()]
        loss: Any = 0.0
        rows = 0
        with np.errstate(all="ignore"):
            for batch, (x, target, weights) in enumerate(session.batches):
                count = x.shape[0]
                for callback in told:
                    callback.on_train_batch_begin(batch, {})
                value = gradient(x, target, weights)
                loss += value * count
                rows += count
                update()
                for callback in told:
                    callback.on_train_batch_end(batch, {"loss": value})
                if network._attention:
                    session.fitting.serve()
                    if network.stop_training:
                        break
        return loss, rows

    def logs(self) -> dict[str, Any]:
        return {"learning_rate": self.optimizer.current_learning_rate}
