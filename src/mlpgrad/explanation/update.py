"""The last two steps: the update of every parameter, and the loss after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.forward import readings
from mlpgrad.explanation.quantities import At, Quantity, Step
from mlpgrad.explanation.trace import Trace
from mlpgrad.optimizers.sgd import SGD

if TYPE_CHECKING:
    from mlpgrad.network.storage import Slot


def update_step(trace: Trace, learning_rate: float) -> tuple[Array, Step]:
    """The update (3) of every parameter: the new parameters, and the step that shows them."""
    new = trace.flat_params.copy()
    SGD(learning_rate).step(new, trace.flat_grads.copy())
    quantities = tuple(
        _updated(trace, index, slot, slot.view(new), learning_rate)
        for index in range(len(trace.layers))
        for slot in trace.slots(index)
    )
    note = (
        "Every weight takes a small step against its gradient; the learning rate eta = "
        f"{trace.show(learning_rate)} says how small."
    )
    return new, Step("update", "The update", note, quantities)


def _updated(trace: Trace, index: int, slot: Slot, new: Array, learning_rate: float) -> Quantity:
    symbol, letters = trace.symbol(index, slot)
    name, show = f"{symbol}_{letters}", trace.show
    w, g = slot.view(trace.flat_params), slot.view(trace.flat_grads)

    def substitute(at: At) -> str:
        return f"{show(w[at])} - {show.factor(learning_rate)} * {show.factor(g[at])}"

    return trace.quantity(
        f"new {symbol}", letters, f"new {name} = {name} - eta dL/d{name}", new, index, "update",
        substitute, number="3", parameter=slot.name,
    )  # fmt: skip


def outcome_step(trace: Trace, x: Array, y: Array, params: Array) -> Step:
    """One more forward pass, with the new parameters in the model."""
    show = trace.show
    trace.model.params = params
    with np.errstate(all="ignore"):  # the effect of too large a learning rate is worth seeing
        value = trace.model.backpropagate(x, y)
    outputs = [_new_outputs(trace, block) for block in trace.blocks]
    outputs += readings(trace, np.asarray(trace.layers[-1].outputs), "new ")
    loss = trace.quantity(
        "new L", "", "the loss with the new weights", np.array(value), None, "loss"
    )
    change = "smaller than" if value < trace.value else "not smaller than"
    note = (
        f"Forward again: {show(value)} is {change} {show(trace.value)}, the loss before the update."
    )
    return Step("outcome", "The new loss", note, (*outputs, loss))


def _new_outputs(trace: Trace, block: At) -> Quantity:
    n, name = trace.names[block[-1]], trace.short_title(block)
    return trace.quantity(
        f"new {n.y}", n.j, f"{name}, with the new weights",
        np.asarray(trace.layers[block[-1]].outputs), block[-1], "new output", per_sample=True,
    )  # fmt: skip
