"""The records that an estimator keeps of its epochs, and the stopping rules."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from mlpgrad._core.arrays import Array
from mlpgrad.network.network import Network

SMALLEST_RATE = 1e-6
"""`learning_rate="adaptive"` stops instead of using a smaller learning rate."""


class Progress:
    """Record an estimator's `loss_curve_` and counts, and apply the stopping rule to each epoch.

    Parameters
    ----------
    estimator : BaseMLP
        Its public attributes record the epochs so far, including those of an earlier fit.
    samples : int
        Number of rows per epoch.
    held_out : Rows, optional
        Validation rows whose score or loss is used instead of the training loss.
    incremental : bool
        Whether this is `partial_fit`: one epoch.
    epochs : int, optional
        Exact number of epochs, without a stopping rule.
    """

    def __init__(
        self,
        estimator: Any,
        samples: int,
        held_out: Any = None,
        *,
        incremental: bool = False,
        epochs: int | None = None,
    ) -> None:
        self.estimator, self.samples, self.held_out = estimator, samples, held_out
        self.incremental, self.epochs = incremental, epochs
        self.losses: HeldOutLoss | None = None
        if held_out is None:
            return
        model = estimator.model_
        self.best = model.params.copy(), model.state.copy()
        if estimator.stop_on_loss:
            self.losses = HeldOutLoss(estimator, held_out, self.best)
        else:
            self.held_out = held_out._replace(y=estimator._labels(held_out.y))

    def __call__(self, loss: float, ended: Network) -> bool:
        """Record the mean loss of an epoch; return whether to continue.

        `ended` is the network as training would end now, which a callback may have averaged.
        """
        estimator, loss = self.estimator, np.float64(loss)
        estimator.n_iter_ += 1
        estimator.t_ += self.samples
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        if self.epochs is None:
            self._judge_as(ended, loss)
        if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
            self._set_rate(estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t)
        if self.epochs is not None:
            return True
        if estimator._no_improvement_count > estimator.n_iter_no_change and self._stops():
            return False
        if self.incremental:
            return False
        if estimator.n_iter_ == estimator.max_iter:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({estimator.max_iter}) reached and the "
                f"optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return True

    def _judge_as(self, ended: Network, loss: float) -> None:
        """Judge the epoch with the weights with which training would end now."""
        model = self.estimator.model_
        if ended is model:
            self._judge(loss)
            return
        own = model.params.copy()
        model.params = ended.params
        try:
            self._judge(loss)
        finally:
            model.params = own

    def _judge(self, loss: float) -> None:
        """Return whether the epoch improved on the earlier ones."""
        if self.held_out is None:
            self._look(loss)
        elif self.losses is None:
            self._score(*self.held_out)
        else:
            self.estimator._no_improvement_count = self.losses.look()

    def _look(self, loss: float) -> None:
        """Return whether the training loss improves; NaN counts as an improvement."""
        estimator = self.estimator
        fails = loss > estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if fails else 0
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss

    def _score(self, x: Any, y: Any, weights: Any) -> None:
        """Return whether the score of the held-out rows improves; keep the best weights."""
        estimator = self.estimator
        score = estimator._score(x, y, weights)
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        fails = score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if fails else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            self.best = estimator.model_.params.copy(), estimator.model_.state.copy()
            estimator.best_epochs_[...] = estimator.n_iter_

    def restore_best(self) -> None:
        """Restore the weights of the epoch that was best on the held-out rows."""
        if self.held_out is not None:
            model = self.estimator.model_
            model.params, model.state = self.best

    def _stops(self) -> bool:
        """Return whether training ends after epochs without improvement, or lower the rate."""
        estimator = self.estimator
        decides = "Validation score" if self.losses is None else "Validation loss"
        what = "Training loss" if self.held_out is None else decides
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs."
        )
        adapts = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        stops = not adapts or estimator._optimizer.learning_rate <= SMALLEST_RATE
        if not stops:
            self._set_rate(estimator._optimizer.learning_rate / 5.0)
            estimator._no_improvement_count = 0
            message += f" Setting learning rate to {estimator._optimizer.learning_rate:f}"
        else:
            message += " Learning rate too small. Stopping." if adapts else " Stopping."
        if estimator.verbose:
            print(message)
        return stops

    def _set_rate(self, rate: float) -> None:
        """Set the learning rate of further steps without recording the step again."""
        self.estimator._optimizer._learning_rate = float(rate)


class HeldOutLoss:
    """The loss of held-out rows after each epoch, and the best weights of each member.

    Parameters
    ----------
    estimator : BaseMLP
    held_out : Rows
    best : tuple of array
        Parameters and statistics to which the best values are written.
    """

    def __init__(self, estimator: Any, held_out: Any, best: tuple[Array, Array]) -> None:
        self.estimator, self.held_out, self.best = estimator, held_out, best
        self.members = estimator.model_.ensemble_size or 1
        self.waited = np.zeros(self.members, int)
        self.done = np.zeros(self.members, bool)

    def look(self) -> int:
        """Evaluate an epoch; return the smallest count of epochs without improvement."""
        estimator, model = self.estimator, self.estimator.model_
        losses = estimator._loss_of(self.held_out)
        estimator.validation_losses_.append(float(losses.mean()))
        if estimator.verbose:
            print(f"Validation loss: {losses.mean():f}")
        best = estimator.best_validation_losses_
        self.waited = np.where(losses < best - estimator.tol, 0, self.waited + 1)
        better = (losses < best) & ~self.done  # as if each member were trained alone
        self.done |= self.waited > estimator.n_iter_no_change
        best[better] = losses[better]
        estimator.best_epochs_[better] = estimator.n_iter_
        for kept, flat in zip(self.best, (model.params, model.state), strict=True):
            rows = kept.reshape(self.members, -1)
            rows[better] = flat.reshape(self.members, -1)[better]
        return int(self.waited[~self.done].min(initial=self.waited.max()))
