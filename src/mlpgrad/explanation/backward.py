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
from mlpgrad.explanation.markup import SAMPLES
from mlpgrad.explanation.notation import (
    documented,
    is_dense,
    is_normalization,
    passed_back,
    slope_formula,
    slopes,
)
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
            title = f"Gradients: {trace.title(block)}"
            yield Step("gradient", title, _gradient_note(trace, index), quantities, (index,))


def _gradient_note(trace: Trace, index: int) -> str:
    if trace.dense[index]:
        return (
            "A weight's gradient is the delta of the neuron it leads to, times the number that "
            "comes in."
        )
    if trace.layers[index].children():
        return "The same rules hold for the layers inside, whose deltas are not listed here."
    if is_normalization(trace.layers[index]):
        return "dL/dy, from the step before, is how the loss changes with this layer's outputs y."
    return ""


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
    by_input = part.formula.startswith(symbol)  # the same symbol on both sides: use another
    if by_input:
        symbol = f"dL/d{n.x}"
    formula = part.formula if part.documented else f"{symbol}_{n.j} = {part.formula}"
    delta = trace.quantity(
        symbol, n.j, formula, trace.deltas[index], index, "delta", part.substitute,
        per_sample=True, documented=part.documented,
        number="8" if part.lecture else "",
    )  # fmt: skip
    block = next(b for b in trace.blocks if index in b)
    note = f"How the loss changes with each output of {trace.layers[index]!r}"
    note += f", the inputs x of {trace.layers[index + 1]!r}." if by_input else "."
    if trace.dense[index]:
        note = "delta tells how the loss changes with a neuron's sum."
        if "sum_" in formula and not part.documented:
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
    return Part(f"{type(layer).__name__}: {passed_back(layer)}", lambda at: "", documented=True)


def _from_loss(trace: Trace) -> Part:
    """dL/d(prediction), by the formula of the loss."""
    n, show, loss = trace.names[-1], trace.show, trace.model.loss
    z, t, batch = trace.outputs[-1], trace.target, len(trace.x)

    def difference(formula: str, of: Array, rows: Array, scales: list[tuple[str, int]]) -> Part:
        """`formula - target`, in brackets where it is scaled: 1/B, 1/O."""
        letters = "".join(f"1/{letter} " for letter, _ in scales)
        numbers = "".join(f"1/{number} * " for _, number in scales)
        begin, end = ("(", ")") if scales else ("", "")
        return Part(
            f"{letters}{begin}{formula} - {n.target}_{n.j}{end}",
            lambda at: f"{numbers}{begin}{show(of[at])} - {show.factor(rows[at])}{end}",
        )

    scales = [("B", batch)] if batch > 1 else []
    if type(loss) is HalfSquaredError:
        return difference(f"{n.y}_{n.j}", z, t, scales)._replace(lecture=True)
    smoothed = getattr(loss, "label_smoothing", 0)
    if type(loss) is SoftmaxCrossEntropy and not smoothed:
        p = loss.probabilities(z)
        rows = one_hot(t, z.shape[1]) if t.shape[1] == 1 else t
        return difference(f"softmax({n.y})_{n.j}", p, rows, scales)
    if type(loss) is SigmoidCrossEntropy and not smoothed:
        p = 0.5 + 0.5 * np.tanh(0.5 * z)
        scales += [("O", z.shape[1])] if z.shape[1] > 1 else []
        return difference(f"sigma({n.y}_{n.j})", p, t, scales)
    mean = "" if batch == 1 else ", averaged over the samples"
    formula = f"{type(loss).__name__}: {documented(loss)}{mean}"
    return Part(formula, lambda at: "", documented=True)


def _gradient(trace: Trace, index: int, slot: Slot) -> Quantity:
    """dL/d(parameter): (9), summed over the samples, with the penalties' part."""
    n, show = trace.names[index], trace.show
    symbol, letters = trace.symbol(index, slot)
    value = slot.view(trace.flat_grads)
    penalty = _penalty_slope(trace, slot)
    layer, batch = slot.layer, len(trace.x)
    inputs, delta, xhat = trace.seen[id(layer)]
    dense, over = is_dense(layer), "" if batch == 1 else f"{SAMPLES} "
    written = slot.kind in ("weights", "bias") if dense else is_normalization(layer)
    formula = f"{over}delta_{n.j}" if dense else f"{over}dL/d{n.y}_{n.j}"
    formula += {"weights": f" {n.x}_{n.i}", "gain": f" xhat_{n.j}"}.get(slot.kind, "")

    def substitute(at: At) -> str:
        if not written:
            return ""
        column = delta[:, at[-1]]
        if slot.kind == "bias":
            text = " + ".join(map(show.factor, column)) if batch <= show.terms else ""
        else:
            factor = inputs[:, at[0]] if xhat is None else xhat[:, at[-1]]
            text = show.sum_of_products(column, factor)
        if penalty is None or not text:
            return text
        return f"{text} + {show.factor(penalty[at])}"

    formula = f"dL/d{symbol}_{letters} = {formula}"
    if not written:
        formula = f"{type(layer).__name__}: {documented(layer)}"
    if penalty is not None:
        formula += f" + penalty'({symbol}_{letters})" if written else ", plus penalties"
    number = "9" if dense and slot.kind == "weights" else ""
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
    note = (
        "Every weight takes a small step against its gradient; the learning rate eta = "
        f"{show(learning_rate)} says how small."
    )
    yield Step("update", "The update", note, tuple(quantities))
    model.params = new
    with np.errstate(all="ignore"):  # a learning rate that is too large is worth seeing
        value = model.backpropagate(x, y)
    after = [_new_outputs(trace, block) for block in trace.blocks]
    loss = trace.quantity(
        "new L", "", "the loss with the new weights", np.array(value), None, "loss"
    )
    change = "smaller than" if value < trace.value else "not smaller than"
    note = (
        f"Forward again: {show(value)} is {change} {show(trace.value)}, the loss before the update."
    )
    yield Step("outcome", "The new loss", note, (*after, loss))


def _new_outputs(trace: Trace, block: At) -> Quantity:
    n, name = trace.names[block[-1]], trace.short_title(block)
    return trace.quantity(
        f"new {n.y}", n.j, f"{name}, with the new weights",
        np.asarray(trace.layers[block[-1]].outputs), block[-1], "new output", per_sample=True,
    )  # fmt: skip
