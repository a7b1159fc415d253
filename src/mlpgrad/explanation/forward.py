"""The forward pass: the input, the sums and outputs of each layer, the loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.markup import bracketed
from mlpgrad.explanation.notation import HIDDEN, call, documented
from mlpgrad.explanation.quantities import At, Quantity, Step
from mlpgrad.explanation.trace import Trace
from mlpgrad.explanation.units import in_own_unit, scaled_target, standardized
from mlpgrad.explanation.written import softmax, softmax_in_numbers
from mlpgrad.layers.activations.sigmoids import Sigmoid
from mlpgrad.layers.normalization import BatchNorm
from mlpgrad.layers.softmax import Softmax
from mlpgrad.layers.standardize import Standardize
from mlpgrad.losses.regression import HalfSquaredError


def forward_steps(trace: Trace) -> Iterator[Step]:
    """The steps from the input to the loss."""
    n = trace.names[0]
    given = trace.quantity(n.x, n.i, "the sample's features", trace.x, 0, "input", per_sample=True)
    note = "The numbers the network is given."
    if n.s not in ("s", ""):
        note += " The letters a, b, c, ... count the layers: y^b_1 is the first output of layer b."
    yield Step("input", "The input", note, (given,))
    for block in trace.blocks:
        quantities, note = [], ""
        for index in block:
            if trace.dense[index]:
                quantities.append(_sums(trace, index))
            elif trace.activation[index]:
                quantities.append(_outputs(trace, index))
                note = _note(trace, index)
            else:
                quantities.append(_generic(trace, index))
                if isinstance(trace.layers[index], BatchNorm) and len(trace.x) == 1:
                    note = "In a batch of one sample xhat is 0; give several samples to see more."
        yield Step("forward", f"Forward: {trace.title(block)}", note, tuple(quantities), block)
    yield _loss(trace)


def _note(trace: Trace, index: int) -> str:
    """The work of a neuron in words, with the formula from the class of the activation."""
    layer = trace.layers[index]
    formula = f"{type(layer).__name__} of a number z: {' '.join(documented(layer).split())}"
    if not trace.argument(index).startswith("s"):
        return formula
    return (
        "A neuron multiplies each number that comes in by a weight and adds up: its sum s. Its "
        f"output is the activation of s. {formula}"
    )


def _sums(trace: Trace, index: int) -> Quantity:
    n, layer = trace.names[index], trace.layers[index]
    last = trace.activation[index + 1 : index + 2] != [True]
    symbol = n.y if last else n.s
    formula = f"{symbol}_{n.j} = sum_{n.i} {n.x}_{n.i} {n.w}_{n.i}{n.j}"
    if layer.bias:
        formula += f" + {n.b}_{n.j}"
    x, params, show = trace.inputs[index], trace.params(index), trace.show

    def substitute(at: At) -> str:
        text = show.sum_of_products(x[at[0]], params["weights"][:, at[1]])
        return f"{text} + {show.factor(params['bias'][at[1]])}" if "bias" in params else text

    number = "6" if n is HIDDEN else "4"
    value = trace.outputs[index]
    return trace.quantity(
        symbol, n.j, formula, value, index, "output" if last else "sum", substitute,
        per_sample=True, number=number,
    )  # fmt: skip


def _outputs(trace: Trace, index: int) -> Quantity:
    n, layer = trace.names[index], trace.layers[index]
    argument = trace.argument(index)
    z = trace.inputs[index]

    def substitute(at: At) -> str:
        return call(layer, trace.show(z[at]))

    formula = f"{n.y}_{n.j} = {call(layer, f'{argument}_{n.j}')}"
    number = "1" if type(layer) is Sigmoid else ""
    value = trace.outputs[index]
    return trace.quantity(
        n.y, n.j, formula, value, index, "output", substitute, per_sample=True, number=number
    )


def _generic(trace: Trace, index: int) -> Quantity:
    n, layer = trace.names[index], trace.layers[index]
    formula, numbers = f"{type(layer).__name__}: {documented(layer)}", None
    if type(layer) is Softmax:
        formula = f"{n.y}_{n.j} = {softmax(n.x, n.j, n.k)}"
        numbers = softmax_in_numbers(trace.inputs[index], trace.show)
    elif type(layer) is Standardize:
        formula, numbers = standardized(trace, index)
    return trace.quantity(
        n.y, n.j, formula, trace.outputs[index], index, "output", numbers, per_sample=True,
        documented=numbers is None,
    )  # fmt: skip


def _loss(trace: Trace) -> Step:
    loss, lecture = trace.model.loss, type(trace.model.loss) is HalfSquaredError
    known = trace.written
    formula = f"{type(loss).__name__}: {documented(loss)}"
    if known is not None:
        over = "" if len(trace.x) == 1 else "1/B sum over the samples of "
        each = known.formula()
        formula = f"L = {over}{bracketed(each) if over else each}"
    if trace.model.penalties:
        formula += " + penalties"
    value = trace.quantity(
        "L", "", formula, np.array(trace.value), None, "loss", _loss_in_numbers(trace),
        documented=known is None, number="2" if lecture else "",
    )  # fmt: skip
    note = "How far the outputs are from what is expected; training makes this number smaller."
    shown = (*readings(trace, trace.outputs[-1]), expected(trace), value)
    return Step("loss", f"The loss, {loss!r}", note, shown)


def readings(trace: Trace, outputs: Array, new: str = "") -> list[Quantity]:
    """The meaning of the outputs: probabilities from the loss, or numbers in their own unit."""
    found = _reading(trace, outputs, new), in_own_unit(trace, outputs, new)
    return [quantity for quantity in found if quantity is not None]


def _reading(trace: Trace, outputs: Array, new: str) -> Quantity | None:
    """What the loss computes from the outputs, such as probabilities; None if nothing."""
    known = trace.rewritten(outputs) if new else trace.written
    made = None if known is None else known.reading
    if made is None:
        return None
    formula = f"{made.words}, with the new weights" if new else made.formula or made.words
    return trace.quantity(
        new + made.symbol, trace.names[-1].j, formula, made.value, None,
        "new reading" if new else "reading", None if new else made.numbers, per_sample=True,
    )  # fmt: skip


def expected(trace: Trace) -> Quantity:
    """The targets as the loss compares them: class indices become one-hot rows."""
    known, target = trace.written, trace.target
    letter = trace.names[-1].j if target.shape[1] > 1 or known else ""
    words = "the expected output"
    symbol = "t"
    if known is not None:
        symbol, words = known.target_symbol, known.target_words
        target = known.values["t"][1][:, : known.columns]
    numbers = scaled_target(trace)
    words += "" if numbers is None else ", (target - mean) / deviation"
    return trace.quantity(symbol, letter, words, target, None, "target", numbers, per_sample=True)


def _loss_in_numbers(trace: Trace) -> Callable[[At], str]:
    """The loss with its numbers: the mean over the samples, or the terms of a single sample."""
    show, loss = trace.show, trace.model.loss.reader()
    z, t, batch = trace.outputs[-1], trace.target, len(trace.x)
    losses = [loss.forward(z[b : b + 1], t[b : b + 1]) for b in range(batch)]

    def substitute(_: At) -> str:
        if batch > 1:
            text = f"({show.added(map(show, losses), losses)}) / {batch}"
        else:
            text = show(losses[0]) if trace.written is None else trace.written.in_numbers(0)
        return f"{text} + {show.factor(trace.penalty)}" if trace.model.penalties else text

    return substitute
