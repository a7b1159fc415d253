"""The gradient of each parameter: the delta behind it times the number in front of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.notation import SAMPLES, documented, is_dense, is_normalization
from mlpgrad.explanation.quantities import At, Quantity
from mlpgrad.explanation.trace import Trace

if TYPE_CHECKING:
    from mlpgrad.network.storage import Slot


def gradient(trace: Trace, index: int, slot: Slot) -> Quantity:
    """dL/d(parameter): formula (9), summed over the samples, plus the slope of the penalties."""
    symbol, letters = trace.symbol(index, slot)
    penalty = _penalty_slope(trace, slot)
    right = _right_side(trace, index, slot)
    if right:
        formula = f"dL/d{symbol}_{letters} = {right}"
        formula += "" if penalty is None else f" + penalty'({symbol}_{letters})"
    else:
        formula = f"{type(slot.layer).__name__}: {documented(slot.layer)}"
        formula += "" if penalty is None else ", plus penalties"
    return trace.quantity(
        f"dL/d{symbol}", letters, formula, slot.view(trace.flat_grads), index, "gradient",
        _numbers(trace, slot, penalty) if right else None, documented=not right,
        number="9" if right and slot.kind == "weights" else "", parameter=slot.name,
    )  # fmt: skip


def _right_side(trace: Trace, index: int, slot: Slot) -> str:
    """Return the rule of a Dense or a normalization layer; empty for layers with other rules."""
    n = trace.names_of(index, slot)
    rules = {}
    if is_dense(slot.layer):
        rules = {"weights": f"{n.delta}_{n.j} {n.x}_{n.i}", "bias": f"{n.delta}_{n.j}"}
    elif is_normalization(slot.layer):
        xhat = f"xhat^{n.letter}" if n.letter else "xhat"
        rules = {"gain": f"dL/d{n.y}_{n.j} {xhat}_{n.j}", "bias": f"dL/d{n.y}_{n.j}"}
    over = f"{SAMPLES} " if len(trace.x) > 1 and slot.kind in rules else ""
    return over + rules.get(slot.kind, "")


def _numbers(trace: Trace, slot: Slot, penalty: Array | None) -> Callable[[At], str]:
    """The function that writes the rule with the numbers of one element."""
    inputs, delta, xhat = trace.seen[id(slot.layer)]
    show = trace.show

    def substitute(at: At) -> str:
        column = delta[:, at[-1]]
        if slot.kind == "bias":
            text = show.sum(column)
        else:
            factor = inputs[:, at[0]] if xhat is None else xhat[:, at[-1]]
            text = show.sum_of_products(column, factor)
        return text if penalty is None else f"{text} + {show.factor(penalty[at])}"

    return substitute


def _penalty_slope(trace: Trace, slot: Slot) -> Array | None:
    acting = [p for p in trace.model.penalties if slot.kind in p.kinds]
    params = slot.view(trace.flat_params)
    slopes = np.zeros((len(acting), *params.shape), params.dtype)
    for penalty, out in zip(acting, slopes, strict=True):
        penalty.slope(params, out)
    return slopes.sum(axis=0) if acting else None
