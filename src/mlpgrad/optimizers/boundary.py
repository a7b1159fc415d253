"""The types of the common options of optimizers, and checks of learning rates and arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np

from mlpgrad._core import arguments, checks
from mlpgrad._core.arrays import Array, Shape
from mlpgrad._core.calls import NotCalled
from mlpgrad._core.habits.lines import FIT

Rate = float | Callable[[int], Any] | Sequence[float] | Array


class Bounds(TypedDict, total=False):
    """Options of every optimizer but `weight_decay`, documented in `Optimizer`."""

    decay_kinds: Sequence[str]
    clip_norm: float | None
    clip_value: float | None
    max_norm: float | None


class Common(Bounds, total=False):
    """Options of every optimizer, documented in `Optimizer`."""

    weight_decay: float


def check_rate(rate: Any) -> None:
    """Raise an error if `rate` is neither a number nor one number for each member."""
    if isinstance(rate, NotCalled):  # a model, or its list of parameters
        raise TypeError(
            f"learning_rate expects a number or schedule, got {arguments.shown(rate)}; write {FIT}"
        )
    values = arguments.as_array(rate, "learning_rate")
    if values.dtype.kind not in "iuf" or values.ndim > 1:
        raise TypeError(
            f"learning_rate expects a number, a schedule (steps -> number) or a number "
            f"for each network of an ensemble, got {arguments.shown(rate)}{checks.unquoted(rate)}"
        )
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"learning_rate expects finite numbers >= 0, got {arguments.shown(rate)}")


def check_arrays(
    name: str, params: Array, grads: Array, states: dict[str, Array], rates: Shape
) -> None:
    """Raise an error if `params` and `grads` are not valid arguments of `step`.

    Parameters
    ----------
    name : str
        The optimizer's class, for messages.
    params, grads : array (P,) or (E, P)
        The arguments of `step`.
    states : dict of arrays
        The state, which must be of the shape and dtype of `params`.
    rates : tuple of int
        The shape of the learning rate, () or (E, 1).
    """
    for label, array in (("params", params), ("grads", grads)):
        _check_floats(name, label, array)
    if not params.flags.writeable:
        raise ValueError(
            f"{name}.step expects params that can be changed in place, got a read-only array; "
            f"use params.copy()"
        )
    if params.shape != grads.shape or params.dtype != grads.dtype:
        raise ValueError(
            f"{name}.step expects params and grads alike, got {params.shape} {params.dtype} "
            f"and {grads.shape} {grads.dtype}"
        )
    for label, state in states.items():
        if state.shape != params.shape or state.dtype != params.dtype:
            raise ValueError(
                f"{name} holds {label} of shape {state.shape} {state.dtype}, got params of "
                f"{params.shape} {params.dtype}; call reset() to start again"
            )
    if rates and (params.ndim != 2 or rates[0] != len(params)):
        networks = f"{len(params)} networks" if params.ndim == 2 else "one network"
        raise ValueError(
            f"learning_rate expects one number, or one for each network; got {rates[0]} for "
            f"{networks} (params of shape {params.shape})"
        )


def _check_floats(name: str, label: str, array: Any) -> None:
    """Raise an error if `array` is not a floating array (P,) or (E, P) in C order."""
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        found = getattr(array, "dtype", type(array).__name__)
        raise TypeError(f"{name}.step expects {label} as a floating array, got {found}")
    if array.ndim not in (1, 2) or not array.flags.c_contiguous:
        raise ValueError(
            f"{name}.step expects {label} C-contiguous of shape (P,) or (E, P), got "
            f"shape {array.shape}, strides {array.strides}; use numpy.ascontiguousarray"
        )


def asked(rate: Any, steps: int, training: tuple[int, int | None] | None) -> Any:
    """Return the learning rate of a schedule, or the learning rate itself.

    Parameters
    ----------
    rate : number, numbers or callable
    steps : int
        The number of steps made before.
    training : tuple (first, total), optional
        The step at which a `fit` began, and its number of steps (None if not known).

    Raises
    ------
    TypeError
        If a schedule returns neither a number nor several numbers.
    ValueError
        If a schedule gives a number below 0, infinite or NaN; or if it spans a whole
        training, and the number of steps is unknown.
    """
    if not callable(rate):
        return rate
    if training is not None and getattr(rate, "needs_total", False):
        first, total = training
        if total is None:
            raise ValueError(
                f"{rate!r} spans the whole training, but the number of batches of a stream "
                "without a length is not known; give steps=, or define __len__ of the reader"
            )
        found = rate.within(steps - first, total)
    else:
        found = rate(steps)
    if isinstance(found, float) and 0 <= found < math.inf:  # the usual one, first
        return found
    values = arguments.as_array(found, "learning_rate")
    given = f"got {arguments.shown(found)} from {rate!r} for steps={steps}"
    if values.dtype.kind not in "iuf" or values.ndim > 1:
        raise TypeError(f"learning_rate expects a schedule (steps -> number), {given}")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(
            f"learning_rate expects a schedule that gives finite numbers >= 0, {given}; correct "
            f"its formula, or bound it, as in max(rate, 0.0)"
        )
    return found
