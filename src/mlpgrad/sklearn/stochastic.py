"""Solvers `adam` and `sgd`: epochs of minibatches, with scikit-learn's stopping rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpgrad.network.network import Network
from mlpgrad.optimizers import Optimizer
from mlpgrad.sklearn.batches import Order
from mlpgrad.sklearn.compiled import CompiledBatches, compiled_batches
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.training.session import Method, Session


class Epochs(Method):
    """Training in epochs of minibatches; `after_epoch(loss)` returns whether to continue.

    In contrast to `mlpgrad.training.Minibatch`, a loss that is not finite does not end training:
    scikit-learn's estimators may still return the weights of an earlier epoch.

    Parameters
    ----------
    gradient : BatchGradient
    order : Order
        The order of the rows, which the batches follow.
    after_epoch : callable
        Its arguments are the mean loss of an epoch, and the network as training would end now.
    steps : int
        The maximum number of steps, on which it depends whether they are compiled.
    """

    def __init__(
        self,
        gradient: BatchGradient,
        order: Order,
        after_epoch: Callable[[float, Network], bool],
        steps: int,
    ) -> None:
        self._gradient, self._order, self._after_epoch = gradient, order, after_epoch
        self._steps = steps
        self._compiled: CompiledBatches | None = None

    @property
    def optimizer(self) -> Optimizer:
        return self._gradient.optimizer

    def train(self, session: Session) -> None:
        gradient, record = self._gradient, session.record
        self.optimizer.attach(session.network)
        session.fitting.close()
        self._compiled = compiled_batches(session, gradient, self._steps)
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
                    going = self._after_epoch(mean, session.result()) and going
        finally:
            if self._compiled is not None:
                self._compiled.close()
            session.fitting.open()

    def _epoch(self, session: Session) -> tuple[Any, int]:
        """Train for an epoch; return the sum of the losses, and the number of rows."""
        order, total, going = self._order, 0.0, self._compiled is not None
        order.draw()
        while going:
            assert self._compiled is not None
            loss, rows = self._compiled.train(order.left)
            total, order.first, going = total + loss, order.first + rows, rows > 0
            if session.network._attention and self._attend(session):
                return total, order.first
        if order.first == len(order.rows):
            return total, order.first
        loss, rows = self._by_calls(session)
        return total + loss, order.first + rows

    def _by_calls(self, session: Session) -> tuple[Any, int]:
        """Train on the batches that are left, by NumPy."""
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
                    callback._direct_on_train_batch_begin(batch, {})
                value = gradient(x, target, weights)
                loss += value * count
                rows += count
                update()
                for callback in told:
                    callback._direct_on_train_batch_end(batch, {"loss": value})
                if network._attention and self._attend(session):
                    break
        return loss, rows

    def _attend(self, session: Session) -> bool:
        """Let waiting threads read the weights; return whether training should stop."""
        session.fitting.serve()
        return session.network.stop_training

    def logs(self) -> dict[str, Any]:
        return {"learning_rate": self.optimizer.current_learning_rate}
