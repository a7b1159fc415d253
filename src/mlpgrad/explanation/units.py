"""Scaled inputs and targets: from the units of the data to scaled units, and back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.quantities import At, Quantity
from mlpgrad.explanation.trace import Trace
from mlpgrad.layers.standardize import Standardize
from mlpgrad.losses.base import Loss


def standardized(trace: Trace, index: int) -> tuple[str, Callable[[At], str]]:
    """The formula of a Standardize layer, and the function that writes its numbers."""
    n, layer, x, show = trace.names[index], trace.layers[index], trace.inputs[index], trace.show
    assert isinstance(layer, Standardize)
    mean, deviation = np.asarray(layer.state.mean), np.asarray(layer.state.deviation)

    def substitute(at: At) -> str:
        difference = f"({show(x[at])} - {show.factor(mean[at[1]])})"
        return f"{difference} / {show.factor(deviation[at[1]])}"

    return f"{n.y}_{n.j} = ({n.x}_{n.j} - mean_{n.j}) / deviation_{n.j}", substitute


def scaled_target(trace: Trace) -> Callable[[At], str] | None:
    """Return the function that writes the scaling of a target; None if targets are not scaled."""
    scaling, show = trace.model.scaling_of_targets, trace.show
    if scaling is None:
        return None
    given = trace.model.target_in_own_unit(trace.target)
    mean, deviation = (np.atleast_2d(a) for a in scaling.mean_and_deviation())

    def substitute(at: At) -> str:
        column = at[1] % given.shape[1]
        difference = f"({show(given[at[0], column])} - {show.factor(mean[0, column])})"
        return f"{difference} / {show(deviation[0, column])}"

    return substitute


def in_own_unit(trace: Trace, outputs: Array, new: str = "") -> Quantity | None:
    """Return the outputs in the units of the data; None if targets are not scaled."""
    scaling, n, show = trace.model.scaling_of_targets, trace.names[-1], trace.show
    if scaling is None:
        return None
    mean, deviation = (np.atleast_2d(a) for a in scaling.mean_and_deviation())

    def substitute(at: At) -> str:
        return f"{show(outputs[at])} * {show(deviation[0, at[1]])} + {show.factor(mean[0, at[1]])}"

    simple = type(trace.model.loss).rescaled is Loss.rescaled
    return trace.quantity(
        f"{new}prediction", n.j, "the outputs in the unit of the data",
        trace.model.in_own_unit(outputs), None, "unit", substitute if simple else None,
        per_sample=True,
    )  # fmt: skip
