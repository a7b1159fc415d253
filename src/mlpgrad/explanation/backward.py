"""The way back: deltas from the output layer down, gradients, the update and the new loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mlpgrad._arrays import Array
from mlpgrad.activations import Sigmoid
from mlpgrad.binary import SigmoidCrossEntropy
from mlpgrad.classification import SoftmaxCrossEntropy
from mlpgrad.explanation.forward import one_hot
from mlpgrad.explanation.notation import documented, slope_formula, slopes
from mlpgrad.explanation.quantities import Quantity, Step
from mlpgrad.losses import HalfSquaredError
from mlpgrad.optimizers import SGD

if TYPE_CHECKING:
    from mlpgrad.binding import Slot
    from mlpgrad.explanation.trace import Trace

At = tuple[int, ...]


class Part(NamedTuple):
    """A formula, its numbers at one place, and what kind of formula it is."""

    formula: str
    substitute: Callable[[At], str]
    documented: bool = False
    lecture: bool = False


def backward_steps(trace: Trace) -> Iterator[Step]:
    """From the loss to the first layer's gradients: deltas and gradients in turn."""
    for index in reversed(range(len(trace.layers))):
        if index == 0 or not (trace.activation[index] and _is_inline(trace, index)):
            yield _delta(trace, index)
        slots = trace.slots(index)
        if slots:
            quantities = tuple(_gradient(trace, index, slot) for slot in slots)
            block = next(b for b in trace.blocks if index in b)
            note = (
                "A weight's gradient is the delta of the neuron it leads to, times the number "
                "that comes in."
                if trace.dense[index]
                else ""
            )
            yield Step("gradient", f"Gradients: {trace.title(block)}", note, quantities, (index,))


def _is_inline(trace: Trace, index: int) -> bool:
    """Whether dL/d(output) of an activation is written out in the formula of the delta."""
    return index == len(trace.layers) - 1 or trace.dense[index + 1]


def _delta(trace: Trace, index: int) -> Step:
    """dL/d(output of layer `index`): the lecture's delta where that is a Dense layer."""
    n = trace.names[index]
    if index + 1 < len(trace.layers) and trace.activation[index + 1]:
        part = _through_activation(trace, index + 1)
    else:
        part = _arriving(trace, index)._replace(lecture=False)  # (8) has a slope
    symbol = "delta" if trace.dense[index] else f"dL/d{n.y}"
    formula = part.formula if part.documented else f"{symbol}_{n.j} = {part.formula}"
    delta = trace.quantity(
        symbol, n.j, formula, trace.deltas[index], index, "delta", part.substitute,
        per_sample=True, documented=part.documented,
        number="8" if part.lecture else "",
    )  # fmt: skip
    block = next(b for b in trace.blocks if index in b)
    note = f"How the loss changes with each output of {trace.layers[index]!r}."
    if trace.dense[index]:
        note = "delta tells how the loss changes with a neuron's sum."
        if block != trace.blocks[-1]:
            note += " A hidden neuron collects the deltas of the layer after it."
    return Step("delta", f"Backward: {trace.title(block)}", note, (delta,), block)


def _through_activation(trace: Trace, index: int) -> Part:
    """What arrives at an activation, times its slope."""
    n, layer, show = trace.names[index], trace.layers[index], trace.show
    arriving = _arriving(trace, index)
    if not _is_inline(trace, index) or arriving.documented:
        deltas = trace.deltas[index]
        arriving = Part(f"dL/d{n.y}_{n.j}", lambda at: show.factor(deltas[at]))
    elif not arriving.formula.endswith(")"):
        bare = arriving
        arriving = bare._replace(
            formula=f"({bare.formula})", substitute=lambda at: f"({bare.substitute(at)})"
        )
    a = trace.outputs[index]
    slope = slopes(layer, trace.inputs[index], a)  # type: ignore[arg-type]  # an Activation
    by_output = type(layer) is Sigmoid

    def substitute(at: At) -> str:
        factors = (a[at], 1 - a[at]) if by_output else (slope[at],)
        return show.product(arriving.substitute(at), *factors)

    formula = slope_formula(layer, f"{trace.argument(index)}_{n.j}", f"{n.y}_{n.j}")
    return Part(
        f"{arriving.formula} {formula}".strip(),
        substitute,
        lecture=arriving.lecture and by_output,
    )


def _arriving(trace: Trace, index: int) -> Part:
    """dL/d(output of layer `index`) from what comes after it: the loss, a Dense, another layer."""
    n, show = trace.names[index], trace.show
    if index == len(trace.layers) - 1:
        return _from_loss(trace)
    after = index + 1
    if trace.dense[after]:
        weights, delta = trace.params(after)["weights"], trace.deltas[after]
        k = n.k
        return Part(
            f"sum_{k} delta_{k} {n.w_next}_{n.j}{k}",
            lambda at: show.sum_of_products(delta[at[0]], weights[at[1]]),
            lecture=True,
        )
    layer = trace.layers[after]
    if trace.activation[after]:
        return _through_activation(trace, after)
    return Part(f"{type(layer).__name__}: {documented(layer)}", lambda at: "", documented=True)


def _from_loss(trace: Trace) -> Part:
    """dL/d(prediction), by the formula of the loss."""
    n, show, loss = trace.names[-1], trace.show, trace.model.loss
    z, t, batch = trace.outputs[-1], trace.target, len(trace.x)
    scale = ("", "") if batch == 1 else ("1/B ", f"1/{batch} * ")
    if type(loss) is HalfSquaredError:
        return Part(
            f"{scale[0]}({n.y}_{n.j} - {n.target}_{n.j})",
            lambda at: f"{scale[1]}({show(z[at])} - {show.factor(t[at])})",
            lecture=True,
        )
    smoothed = getattr(loss, "label_smoothing", 0)
    if type(loss) is SoftmaxCrossEntropy and not smoothed:
        p = loss.probabilities(z)
        rows = one_hot(t, z.shape[1]) if t.shape[1] == 1 else t
        return Part(
            f"{scale[0]}(softmax({n.y})_{n.j} - {n.target}_{n.j})",
            lambda at: f"{scale[1]}({show(p[at])} - {show.factor(rows[at])})",
        )
    if type(loss) is SigmoidCrossEntropy and not smoothed:
        p = 0.5 + 0.5 * np.tanh(0.5 * z)
        over, number = ("", "") if z.shape[1] == 1 else ("1/O ", f"1/{z.shape[1]} * ")
        return Part(
            f"{scale[0]}{over}(sigma({n.y}_{n.j}) - {n.target}_{n.j})",
            lambda at: f"{scale[1]}{number}({show(p[at])} - {show.factor(t[at])})",
        )
    mean = "" if batch == 1 else ", averaged over the samples"
    formula = f"{type(loss).__name__}: {documented(loss)}{mean}"
    return Part(formula, lambda at: "", documented=True)


def _gradient(trace: Trace, index: int, slot: Slot) -> Quantity:
    """dL/d(parameter): (9), summed over the samples, with the penalties' part."""
    n, show = trace.names[index], trace.show
    symbol, letters = trace.symbol(index, slot)
    value = slot.view(trace.flat_grads)
    penalty = _penalty_slope(trace, slot)
    delta, x, batch = trace.deltas[index], trace.inputs[index], len(trace.x)
    over = "" if batch == 1 else "sum over the samples of "
    written = trace.dense[index] and slot.kind in ("weights", "bias")
    formula = f"{over}delta_{n.j} {n.x}_{n.i}" if slot.kind == "weights" else f"{over}delta_{n.j}"

    def substitute(at: At) -> str:
        if not written:
            return ""
        column = delta[:, at[-1]]
        if slot.kind == "weights":
            text = show.sum_of_products(column, x[:, at[0]])
        else:
            text = " + ".join(map(show.factor, column)) if batch <= show.terms else ""
        if penalty is None or not text:
            return text
        return f"{text} + {show.factor(penalty[at])}"

    formula = f"dL/d{symbol}_{letters} = {formula}"
    if not written:
        layer = trace.layers[index]
        formula = f"{type(layer).__name__}: {documented(layer)}"
    if penalty is not None:
        formula += f" + penalty'({symbol}_{letters})" if written else ", plus penalties"
    number = "9" if written and slot.kind == "weights" else ""
    return trace.quantity(
        f"dL/d{symbol}", letters, formula, value, index, "gradient", substitute,
        documented=not written, number=number, parameter=slot.name,
    )  # fmt: skip


def _penalty_slope(trace: Trace, slot: Slot) -> Array | None:
    acting = [p for p in trace.model.penalties if slot.kind in p.kinds]
    params = slot.view(trace.flat_params)
    return sum((p.slope(params) for p in acting), np.zeros_like(params)) if acting else None


def closing_steps(trace: Trace, x: Array, y: Array, learning_rate: float) -> Iterator[Step]:
    """The update (3) of every parameter, and the loss after it on the same samples."""
    model, show = trace.model, trace.show
    new = trace.flat_params.copy()
    SGD(learning_rate).step(new, trace.flat_grads.copy())
    quantities = []
    for index in range(len(trace.layers)):
        for slot in trace.slots(index):
            symbol, letters = trace.symbol(index, slot)
            name = f"{symbol}_{letters}"
            w, g = slot.view(trace.flat_params), slot.view(trace.flat_grads)

            def substitute(at: At, w: Array = w, g: Array = g) -> str:
                return f"{show(w[at])} - {show.factor(learning_rate)} * {show.factor(g[at])}"

            quantities.append(
                trace.quantity(
                    f"new {symbol}",
                    letters,
                    f"new {name} = {name} - eta dL/d{name}",
                    slot.view(new),
                    index,
                    "update",
                    substitute,
                    number="3",
                    parameter=slot.name,
                )
            )
    note = f"Every weight takes a small step against its gradient: eta = {show(learning_rate)}."
    yield Step("update", "The update", note, tuple(quantities))
    model.params = new
    with np.errstate(all="ignore"):  # a learning rate that is too large is worth seeing
        n, value = trace.names[-1], model.backpropagate(x, y)
    outputs = np.asarray(model.layers[-1].outputs)
    after = trace.quantity(
        f"new {n.y}", n.j, "the output with the new weights", outputs, None, "output",
        per_sample=True,
    )  # fmt: skip
    loss = trace.quantity(
        "new L", "", "the loss with the new weights", np.array(value), None, "loss"
    )
    change = "smaller than" if value < trace.value else "not smaller than"
    note = f"{show(value)} is {change} {show(trace.value)}, the loss before the update."
    yield Step("outcome", "The new loss", note, (after, loss))
