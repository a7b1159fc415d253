"""The backward pass: deltas and gradients from the output layer to the first layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from mlpgrad.explanation.gradients import gradient
from mlpgrad.explanation.markup import bracketed
from mlpgrad.explanation.notation import (
    documented,
    is_normalization,
    passed_back,
    slope_formula,
    slopes,
)
from mlpgrad.explanation.quantities import At, Step
from mlpgrad.explanation.trace import Trace
from mlpgrad.layers.activations.sigmoids import Sigmoid
from mlpgrad.layers.embedding import Embedding
from mlpgrad.layers.softmax import Softmax
from mlpgrad.layers.standardize import Standardize
from mlpgrad.losses.regression import HalfSquaredError


class Part(NamedTuple):
    """A formula, its numbers for one element, and whether it is from a docstring or the lecture."""

    formula: str
    substitute: Callable[[At], str]
    documented: bool = False
    lecture: bool = False
    words: bool = False
    """Whether it needs words beside symbols."""


def backward_steps(trace: Trace) -> Iterator[Step]:
    """The steps from the loss to the first layer's gradients: deltas and gradients in turn."""
    for index in reversed(range(len(trace.layers))):
        slots = trace.slots(index)
        if index == 0 and isinstance(trace.layers[0], Standardize):
            continue  # there are no parameters in it or before it
        if index == 0 or not (trace.activation[index] and _is_inline(trace, index)):
            yield _delta(trace, index)
        if slots:
            quantities = tuple(gradient(trace, index, slot) for slot in slots)
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
    if isinstance(trace.layers[index], Embedding):
        return (
            "A vector collects the dL/dy of the places that it was put in; those of categories "
            "that do not occur get 0."
        )
    if is_normalization(trace.layers[index]):
        return "dL/dy, from the step before, is how the loss changes with this layer's outputs y."
    return ""


def _is_inline(trace: Trace, index: int) -> bool:
    """Return whether dL/d(output) of an activation is written out in the formula of the delta."""
    return index == len(trace.layers) - 1 or trace.dense[index + 1]


def _delta(trace: Trace, index: int) -> Step:
    """dL/d(output of layer `index`): the lecture's delta where that is a Dense layer."""
    n = trace.names[index]
    if index + 1 < len(trace.layers) and trace.activation[index + 1]:
        part = _through_activation(trace, index + 1)
    else:
        part = _arriving(trace, index)._replace(lecture=False)  # (8) has a slope
    symbol = n.delta if trace.dense[index] else f"dL/d{n.y}"
    of_class = part.documented and not part.words
    formula = part.formula if of_class else f"{symbol}_{n.j} = {part.formula}"
    delta = trace.quantity(
        symbol, n.j, formula, trace.deltas[index], index, "delta", part.substitute,
        per_sample=True, documented=part.documented,
        number="8" if part.lecture else "",
    )  # fmt: skip
    block = next(b for b in trace.blocks if index in b)
    note = f"How the loss changes with each output of {trace.layers[index]!r}."
    if trace.dense[index]:
        note = "delta tells how the loss changes with a neuron's sum."
        if "sum_" in formula and not part.documented:
            note += " A hidden neuron collects the deltas of the layer after it."
    return Step("delta", f"Backward: {trace.title(block)}", note, (delta,), block)


def _through_activation(trace: Trace, index: int) -> Part:
    """dL/d(input) of an activation: dL/d(output) times its slope."""
    n, layer, show = trace.names[index], trace.layers[index], trace.show
    arriving = _arriving(trace, index)
    if not _is_inline(trace, index) or arriving.documented:
        deltas = trace.deltas[index]
        arriving = Part(f"dL/d{n.y}_{n.j}", lambda at: show.factor(deltas[at]))
    else:
        bare = arriving
        arriving = bare._replace(
            formula=bracketed(bare.formula), substitute=lambda at: bracketed(bare.substitute(at))
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
    """dL/d(output of layer `index`), which the loss, a Dense or another layer passes back."""
    n, show = trace.names[index], trace.show
    if index == len(trace.layers) - 1:
        return _from_loss(trace)
    after = index + 1
    if trace.dense[after]:
        weights, delta = trace.params(after)["weights"], trace.deltas[after]
        k = n.k
        return Part(
            f"sum_{k} {n.delta_next}_{k} {n.w_next}_{n.j}{k}",
            lambda at: show.sum_of_products(delta[at[0]], weights[at[1]]),
            lecture=True,
        )
    layer = trace.layers[after]
    if trace.activation[after]:
        return _through_activation(trace, after)
    if type(layer) is Softmax:
        return _through_softmax(trace, after)
    return Part(f"{type(layer).__name__}: {passed_back(layer)}", lambda at: "", documented=True)


def _through_softmax(trace: Trace, index: int) -> Part:
    """a_j (dL/da_j - sum_k a_k dL/da_k), with the outputs a of layer `index`."""
    n, a, show, deltas = trace.names[index], trace.outputs[index], trace.show, trace.deltas[index]

    def substitute(at: At) -> str:
        total = show.sum_of_products(a[at[0]], deltas[at[0]])
        return f"{show.factor(a[at])} * ({show(deltas[at])} - ({total}))"

    arriving = f"dL/d{n.y}"
    return Part(
        f"{n.y}_{n.j} ({arriving}_{n.j} - sum_{n.k} {n.y}_{n.k} {arriving}_{n.k})", substitute
    )


def _from_loss(trace: Trace) -> Part:
    """dL/d(prediction), by the formula of the loss."""
    known, batch = trace.written, len(trace.x)
    if known is None:
        loss = trace.model.loss
        mean = "" if batch == 1 else ", averaged over the samples"
        formula = f"{type(loss).__name__}: {documented(loss)}{mean}"
        return Part(formula, lambda at: "", documented=True)
    scales = [("B", batch)] * (batch > 1) + known.divisor()
    letters = "".join(f"1/{letter} " for letter, _ in scales)
    numbers = "".join(f"1/{number} * " for _, number in scales)
    formula = known.slope_formula()

    def substitute(at: At) -> str:
        text = known.slope_in_numbers(at)
        return numbers + (bracketed(text) if numbers else text)

    return Part(
        letters + (bracketed(formula) if letters else formula),
        substitute,
        documented=known.slope_in_words,
        words=known.slope_in_words,
        lecture=type(trace.model.loss) is HalfSquaredError,
    )
