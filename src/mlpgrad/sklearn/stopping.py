"""What an estimator keeps of its epochs, and scikit-learn's rules of when training ends."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.exceptions import ConvergenceWarning

SMALLEST_RATE = 1e-6
"""`learning_rate="adaptive"` stops instead of going on with less."""


class Progress:
    """Writes an estimator's `loss_curve_` and counts, and judges each epoch.

    Parameters
    ----------
    estimator : _BaseMLP
        Its public attributes are what is known of the epochs so far, also of an earlier fit.
    samples : int
        Rows of an epoch.
    held_out : tuple (x, y, weights), optional
        Rows whose score decides, instead of the training loss.
    incremental : bool
        Whether this is `partial_fit`: one epoch.
    """

    def __init__(
        self, estimator: Any, samples: int, held_out: tuple[Any, ...] | None, incremental: bool
    ) -> None:
        self.estimator, self.samples, self.held_out = estimator, samples, held_out
        self.incremental = incremental

    def __call__(self, loss: float) -> bool:
        """Note the mean loss of an epoch; whether to go on."""
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.samples
        estimator.loss_ = loss
        estimator.loss_curve_.append(loss)
        if estimator.verbose:
            print(f"Iteration {estimator.n_iter_}, loss = {loss:.8f}")
        self._look(loss) if self.held_out is None else self._score(*self.held_out)
        if estimator.solver == "sgd" and estimator.learning_rate == "invscaling":
            self._set_rate(estimator.learning_rate_init / (estimator.t_ + 1) ** estimator.power_t)
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

    def _look(self, loss: float) -> None:
        """Whether the training loss improves."""
        estimator = self.estimator
        # written so that a loss that is NaN counts as an improvement, as in scikit-learn
        fails = loss > estimator.best_loss_ - estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if fails else 0
        if loss < estimator.best_loss_:
            estimator.best_loss_ = loss

    def _score(self, x: Any, y: Any, weights: Any) -> None:
        """Whether the score of the held-out rows improves; keep the best weights."""
        estimator = self.estimator
        score = estimator._score(x, y, weights)
        estimator.validation_scores_.append(score)
        if estimator.verbose:
            print(f"Validation score: {score:f}")
        fails = score < estimator.best_validation_score_ + estimator.tol
        estimator._no_improvement_count = estimator._no_improvement_count + 1 if fails else 0
        if score > estimator.best_validation_score_:
            estimator.best_validation_score_ = score
            estimator._best_params = estimator.model_.params.copy()

    def _stops(self) -> bool:
        """Whether too many epochs without improvement end training, or lower the rate."""
        estimator = self.estimator
        what = "Training loss" if self.held_out is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={estimator.tol:f} for "
            f"{estimator.n_iter_no_change} consecutive epochs."
        )
        rate = estimator._optimizer.learning_rate
        adapts = estimator.solver == "sgd" and estimator.learning_rate == "adaptive"
        stops = not adapts or rate <= SMALLEST_RATE
        if not stops:
            self._set_rate(rate / 5.0)
            estimator._no_improvement_count = 0
            message += f" Setting learning rate to {estimator._optimizer.learning_rate:f}"
        else:
            message += " Learning rate too small. Stopping." if adapts else " Stopping."
        if estimator.verbose:
            print(message)
        return stops

    def _set_rate(self, rate: float) -> None:
        """The rate of the steps to come, without a new record of the step."""
        self.estimator._optimizer._learning_rate = float(rate)
