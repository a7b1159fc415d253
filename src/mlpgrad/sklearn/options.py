"""What the options of the drop-in pair mean together, and which of them contradict one another."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from mlpgrad.training.session import Method


def sees_all_rows(solver: Any) -> bool:
    """Return whether a solver trains on all rows at once instead of on minibatches."""
    return isinstance(solver, Method) or (isinstance(solver, str) and solver == "lbfgs")


def makes_steps(estimator: Any) -> bool:
    """Return whether the solver trains on minibatches; raise AttributeError if not."""
    if sees_all_rows(estimator.solver):
        name = estimator.solver if isinstance(estimator.solver, str) else repr(estimator.solver)
        raise AttributeError(
            f"partial_fit is only available for stochastic optimizers. {name} is not stochastic."
        )
    return True


def sizes_of(given: Any) -> tuple[int, ...]:
    """Return `hidden_layer_sizes` as a tuple of positive ints."""
    try:
        sizes = tuple(map(operator.index, np.atleast_1d(given).tolist()))
    except (TypeError, ValueError):
        raise TypeError(
            f"hidden_layer_sizes expects whole numbers such as (100, 50), got {given!r}"
        ) from None
    if min(sizes, default=1) <= 0:
        raise ValueError(f"hidden_layer_sizes must be > 0, got {list(sizes)}.")
    return sizes


def check_options(estimator: Any, incremental: bool, validation_data: Any) -> None:
    """Raise ValueError for options that contradict one another."""
    sizes_of(estimator.hidden_layer_sizes)
    stops = estimator.early_stopping or estimator.stop_on_loss
    if estimator.early_stopping and estimator.stop_on_loss:
        raise ValueError(
            "early_stopping and stop_on_loss are both True; choose one, to stop on the score "
            "or on the loss of the held-out rows"
        )
    if stops and incremental:
        name = "early_stopping" if estimator.early_stopping else "stop_on_loss"
        raise ValueError(f"partial_fit does not support {name}=True")
    if incremental and getattr(estimator, "class_weight", None) == "balanced":
        raise ValueError(
            "partial_fit does not support class_weight='balanced', since it does not see all rows; "
            "give a dict such as {0: 1.0, 1: 5.0}"
        )
    if not stops and (validation_data is not None or estimator.refit):
        name = "refit=True" if estimator.refit else "validation_data"
        raise ValueError(f"{name} needs early_stopping=True or stop_on_loss=True")
    _check_held_out(estimator, validation_data)


def check_warm_start(estimator: Any, y: Any) -> None:
    """Raise ValueError for what cannot change while the weights stay."""
    kind, known = type(estimator).__name__, getattr(estimator, "n_outputs_", y.shape[1])
    if y.shape[1] != known:
        raise ValueError(
            f"y has {y.shape[1]} outputs, but {kind} was fitted with {known}; fit a new one, "
            "without a warm start"
        )
    if not hasattr(estimator, "model_"):
        return
    hidden, sizes = len(estimator.coefs_) - 1, sizes_of(estimator.hidden_layer_sizes)
    if len(sizes) != hidden:
        raise ValueError(
            f"hidden_layer_sizes={sizes} cannot follow {hidden} hidden layers in a warm start; "
            "fit a new one"
        )
    asked, scaling = getattr(estimator, "target_scaling", None), estimator.model_.target_scaling
    if asked != scaling:
        raise ValueError(
            f"target_scaling={asked!r} cannot follow {scaling!r} in a warm start, whose weights "
            "are for the targets as they were scaled; fit a new one"
        )


def _check_held_out(estimator: Any, validation_data: Any) -> None:
    """Raise ValueError if held-out rows would have no effect, or are not given as a tuple."""
    given = {
        "stop_on_loss=True": estimator.stop_on_loss,
        "refit=True": estimator.refit,
        "validation_data": validation_data is not None,
    }
    names = [name for name, is_given in given.items() if is_given]
    if names and sees_all_rows(estimator.solver):
        raise ValueError(
            f"{names[0]} needs a solver with epochs of minibatches, got "
            f"solver={estimator.solver!r}; use 'adam', 'sgd' or an optimizer"
        )
    if validation_data is not None and not (
        isinstance(validation_data, (tuple, list)) and len(validation_data) in (2, 3)
    ):
        raise ValueError(
            f"validation_data expects (X, y) or (X, y, sample_weight), "
            f"got {type(validation_data).__name__}"
        )
