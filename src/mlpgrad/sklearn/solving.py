"""Training of an estimator's network in a session, in epochs or on all rows at once."""

from __future__ import annotations

import copy
import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from scipy.sparse import vstack as sparse_rows
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils.optimize import _check_optimize_result

from mlpgrad._core.arrays import Array
from mlpgrad.history import History
from mlpgrad.network.fitting import fitted
from mlpgrad.optimizers import Optimizer
from mlpgrad.penalties import L2
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.batches import Order, batches_of
from mlpgrad.sklearn.class_weights import with_class_weight
from mlpgrad.sklearn.gradient import BatchGradient
from mlpgrad.sklearn.optimizers import _Adam, _HeldRateSGD
from mlpgrad.sklearn.quasi_newton import LBFGS
from mlpgrad.sklearn.stochastic import Epochs
from mlpgrad.sklearn.stopping import Progress
from mlpgrad.sklearn.tasks import fit_tasks
from mlpgrad.training.batches import Batches
from mlpgrad.training.callbacks import Callback, check_callbacks
from mlpgrad.training.progress import ProgressBar
from mlpgrad.training.session import Method, Session

HELD_OUT = (
    *("best_loss_", "best_epochs_", "validation_scores_", "best_validation_score_"),
    *("validation_losses_", "best_validation_losses_"),
)
"""The records of the held-out rows."""


class Rows(NamedTuple):
    """Checked input, targets (n, n_outputs_), and weights or None."""

    x: Any
    y: Array
    weights: Array | None


def train_in_epochs(
    estimator: Any,
    model: Sequential,
    rows: Rows,
    held_out: Rows | None = None,
    *,
    incremental: bool = False,
    epochs: int | None = None,
) -> None:
    """Train on minibatches.

    Parameters
    ----------
    estimator : BaseMLP
    model : Sequential
    rows, held_out : Rows
        Training rows, and validation rows for early stopping.
    incremental : bool
        Whether to train for one epoch, for `partial_fit`.
    epochs : int, optional
        Exact number of epochs, without a stopping rule; by default at most `max_iter`.
    """
    samples, sparse = rows.x.shape[0], issparse(rows.x)
    weighted = with_class_weight(estimator, rows)
    size = _rows_of_a_batch(estimator, samples)
    most = int(estimator.max_iter) if epochs is None else epochs
    if not incremental or not hasattr(estimator, "_optimizer"):
        estimator._optimizer = _new_optimizer(estimator)
        estimator._optimizer.begin_training(most * -(-samples // size))

    def steps(rows: int) -> int:
        return 0 if incremental else most * max(samples // size, 1)

    gradient = BatchGradient(
        model,
        estimator.alpha,
        optimizer=estimator._optimizer,
        steps=steps,
        sparse=sparse,
        unit=unit_of(weighted.weights, model.dtype),
    )
    order = Order(samples, size, estimator.shuffle, estimator._random_state)
    batches = batches_of(network_data(estimator, model, weighted), size, order, sparse=sparse)
    estimator.n_iter_ = 0
    progress = Progress(estimator, samples, held_out, incremental=incremental, epochs=epochs)
    whole = 0 if incremental else most * (samples // size)
    _run(estimator, Epochs(gradient, order, progress, whole), batches, most, rows)
    progress.restore_best()


def train_again(estimator: Any, rows: Rows) -> None:
    """Train a new network on all rows, for the number of epochs that was best; keep the records."""
    epochs = int(np.median(estimator.best_epochs_))
    if not epochs:
        warnings.warn(
            "No epoch improved the held-out rows: the network is not trained again.",
            ConvergenceWarning,
            stacklevel=2,
        )
        return
    records = {name: vars(estimator)[name] for name in HELD_OUT if name in vars(estimator)}
    estimator._initialize(rows)
    for name, record in records.items():
        setattr(estimator, name, record)
    train_in_epochs(estimator, estimator.model_, rows, epochs=epochs)


def train_at_once(estimator: Any, model: Sequential, rows: Rows) -> None:
    """Train with L-BFGS or another method on all rows."""
    if isinstance(estimator.solver, Method):
        _train_by(copy.deepcopy(estimator.solver), estimator, model, rows)
        return
    samples, sparse = rows.x.shape[0], issparse(rows.x)
    weighted = with_class_weight(estimator, rows)
    unit, most = unit_of(weighted.weights, model.dtype), int(estimator.max_iter)
    gradient = BatchGradient(
        model, estimator.alpha, steps=lambda rows: most, sparse=sparse, unit=unit
    )
    data = network_data(estimator, model, weighted)
    limits = {"tolerance": estimator.tol, "iterations": most, "calls": estimator.max_fun}
    method = LBFGS(gradient, data, **limits)
    order = Order(samples, samples, False, estimator._random_state)
    batches = batches_of(data, samples, order, sparse=sparse)
    _run(estimator, method, batches, most, rows)
    if method.result is None:  # interrupted
        _conclude(estimator)
        return
    if model.stop_training or estimator.history_.interrupted:
        estimator.n_iter_ = method.result.nit
    else:
        estimator.n_iter_ = _check_optimize_result("lbfgs", method.result, estimator.max_iter)
    estimator.loss_ = np.float64(method.result.fun) / (model.ensemble_size or 1)


def _train_by(method: Method, estimator: Any, model: Sequential, rows: Rows) -> None:
    """Train with a method such as `LevenbergMarquardt`, on the same objective as L-BFGS."""
    if issparse(rows.x):
        raise TypeError(f"solver={method!r} needs dense data, got a sparse X; use X.toarray()")
    weighted = with_class_weight(estimator, rows)
    samples, (x, target, weights) = rows.x.shape[0], network_data(estimator, model, weighted)
    if model.target_scaling is not None:
        target = rows.y.astype(model.dtype)  # the objective scales it
    total = samples if weighted.weights is None else float(weighted.weights.sum())
    order = Order(samples, samples, False, estimator._random_state)
    batches = batches_of((x, target, weights), method.rows_at_once, order, sparse=False)
    decays = getattr(method, "regularisation", None) is None  # else it finds its own decay
    if decays and estimator.alpha and total:
        model.penalties = (L2(estimator.alpha / total),)
    try:
        _run(estimator, method, batches, int(estimator.max_iter), rows)
    finally:
        model.penalties = ()
    _conclude(estimator)


def _conclude(estimator: Any) -> None:
    """Set the number of epochs and the last loss from what was recorded."""
    losses = estimator.history_.get("loss", [])
    estimator.n_iter_ = len(losses)
    estimator.loss_ = np.float64(np.mean(losses[-1]) if len(losses) else np.nan)


def _run(estimator: Any, method: Method, batches: Batches, epochs: int, rows: Rows) -> None:
    """Run a method in a new session."""
    estimator.history_ = History()
    given = check_callbacks(list(estimator.callbacks or ()))
    _check_monitored(given)
    session = Session(
        estimator.model_,
        method,
        batches,
        validation=None,
        callbacks=[
            *given,
            *fit_tasks(estimator, rows),
            *([ProgressBar()] if estimator.progress else []),
        ],
        metrics=None,
        epochs=epochs,
        record=estimator.history_,
    )
    session.speaks = False  # scikit-learn's estimators have their own warnings
    with fitted(estimator.model_, method.optimizer):
        session.run()
    if estimator.history_.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=2)


def _check_monitored(callbacks: list[Callback]) -> None:
    """Raise an error if a callback waits for a value on validation data, which are not its own."""
    for callback in callbacks:
        name = getattr(callback, "monitor", None)
        own = getattr(callback, "validation_data", None) is not None
        if isinstance(name, str) and name.startswith("val_") and not own:
            raise ValueError(
                f"{callback!r}: the callbacks of an estimator see no {name}; early_stopping and "
                "stop_on_loss of the estimator use its held-out rows, or monitor the 'loss'"
            )


def _new_optimizer(estimator: Any) -> Optimizer:
    """Return a new optimizer for `solver`."""
    if isinstance(estimator.solver, Optimizer):
        optimizer = copy.deepcopy(estimator.solver)
        optimizer.reset()
        return optimizer
    rate = float(estimator.learning_rate_init)
    if estimator.solver == "adam":
        betas = {"beta1": estimator.beta_1, "beta2": estimator.beta_2}
        return _Adam(rate, **betas, epsilon=estimator.epsilon)
    return _HeldRateSGD(rate, momentum=estimator.momentum, nesterov=estimator.nesterovs_momentum)


def _rows_of_a_batch(estimator: Any, samples: int) -> int:
    """Return `batch_size` as a number, clipped to the number of rows."""
    if estimator.batch_size == "auto":
        return min(200, samples)
    if estimator.batch_size > samples:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped",
            stacklevel=2,
        )
    return int(np.clip(estimator.batch_size, 1, samples))


def split(estimator: Any, rows: Rows) -> tuple[Rows, Rows]:
    """Split rows into training and held-out rows, drawn as in scikit-learn."""
    arrays = [array for array in rows if array is not None]
    parts = train_test_split(
        *arrays,
        random_state=estimator._random_state,
        test_size=estimator.validation_fraction,
        stratify=rows.y if is_classifier(estimator) and estimator.n_outputs_ == 1 else None,
    )
    if parts[1].shape[0] < 2:
        raise ValueError(
            "The validation set is too small. Increase 'validation_fraction' or the size of "
            "your dataset."
        )
    kept, held = [*parts[::2], None], [*parts[1::2], None]
    return Rows(*kept[:3]), Rows(*held[:3])


def stacked(rows: Rows, others: Rows) -> Rows:
    """Return all of these rows in the first ones' dtype; those without weights have weight 1."""
    stack = sparse_rows if issparse(rows.x) or issparse(others.x) else np.concatenate
    weights = None
    if rows.weights is not None or others.weights is not None:
        parts = (
            np.ones(len(one.y)) if one.weights is None else one.weights for one in (rows, others)
        )
        weights = np.concatenate([*parts])
    x = stack([rows.x, others.x]).astype(rows.x.dtype, copy=False)
    return Rows(x, np.concatenate([rows.y, others.y]), weights)


def unit_of(weights: Array | None, dtype: Any) -> float:
    """Return the power of two by which `network_data` divides weights; 1 unless they are extreme.

    The sum of a batch's weights cancels, but the dtype must hold it.
    """
    sizes = np.empty(0) if weights is None else np.abs(weights[weights != 0])
    far = float(np.sqrt(np.finfo(dtype).max))
    if not sizes.size or (float(sizes.max()) < far and float(sizes.min()) > 1 / far):
        return 1.0
    return float(2.0 ** (np.frexp(sizes.max())[1] - 1))


def network_data(estimator: Any, model: Sequential, rows: Rows) -> tuple[Any, ...]:
    """Return inputs, targets and weights as the network's step takes them."""
    x = rows.x.tocsr() if issparse(rows.x) else rows.x
    weights = rows.weights
    if weights is not None:
        unit = unit_of(weights, model.dtype)
        weights = (weights / unit).astype(model.dtype, copy=False)[:, None]
    return x.astype(model.dtype, copy=False), estimator._targets(rows.y, model.dtype), weights
