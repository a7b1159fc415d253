"""The way forward: input, each layer's sums and outputs, the loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.notation import call, documented
from mlpgrad.explanation.quantities import Step
from mlpgrad.layers.activations.sigmoids import Sigmoid
from mlpgrad.losses.categorical import CrossEntropy, SoftmaxCrossEntropy
from mlpgrad.losses.regression import HalfSquaredError

if TYPE_CHECKING:
    from mlpgrad.explanation.trace import Trace


def forward_steps(trace: Trace) -> Iterator[Step]:
    """From the input to the loss."""
    n = trace.names[0]
    given = trace.quantity(n.x, n.i, "the sample's features", trace.x, 0, "input", per_sample=True)
    yield Step("input", "The input", "The numbers the network is given.", (given,))
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
        yield Step("forward", f"Forward: {trace.title(block)}", note, tuple(quantities), block)
    yield _loss(trace)


def _note(trace: Trace, index: int) -> str:
    """What a neuron does, and the activation's formula as its class states it."""
    layer = trace.layers[index]
    formula = f"{type(layer).__name__}: {documented(layer)}"
    if trace.argument(index) != "s":
        return formula
    return (
        "A neuron multiplies each number that comes in by a weight and adds up: its sum s. Its "
        f"output is the activation of s. {formula}"
    )


def _sums(trace: Trace, index: int) -> Any:
    n, layer = trace.names[index], trace.layers[index]
    last = trace.activation[index + 1 : index + 2] != [True]
    symbol = n.y if last else n.s
    formula = f"{symbol}_{n.j} = sum_{n.i} {n.x}_{n.i} {n.w}_{n.i}{n.j}"
    if layer.bias:
        formula += f" + {n.b}_{n.j}"
    x, params, show = trace.inputs[index], trace.params(index), trace.show

    def substitute(at: tuple[int, ...]) -> str:
        text = show.sum_of_products(x[at[0]], params["weights"][:, at[1]])
        return f"{text} + {show.factor(params['bias'][at[1]])}" if "bias" in params else text

    number = {"x": "6", "y": "4"}[n.x] if n.w != "w" else "4"
    value = trace.outputs[index]
    return trace.quantity(
        symbol, n.j, formula, value, index, "output" if last else "sum", substitute,
        per_sample=True, number=number,
    )  # fmt: skip


def _outputs(trace: Trace, index: int) -> Any:
    n, layer = trace.names[index], trace.layers[index]
    argument = trace.argument(index)
    z = trace.inputs[index]

    def substitute(at: tuple[int, ...]) -> str:
        return call(layer, trace.show(z[at]))

    formula = f"{n.y}_{n.j} = {call(layer, f'{argument}_{n.j}')}"
    number = "1" if type(layer) is Sigmoid else ""
    value = trace.outputs[index]
    return trace.quantity(
        n.y, n.j, formula, value, index, "output", substitute, per_sample=True, number=number
    )


def _generic(trace: Trace, index: int) -> Any:
    n, layer = trace.names[index], trace.layers[index]
    formula = f"{type(layer).__name__}: {documented(layer)}"
    return trace.quantity(
        n.y, n.j, formula, trace.outputs[index], index, "output", per_sample=True, documented=True
    )


def _loss(trace: Trace) -> Step:
    n, show, loss = trace.names[-1], trace.show, trace.model.loss
    z, t, batch = trace.outputs[-1], trace.target, len(trace.x)
    half = type(loss) is HalfSquaredError
    each = f"1/2 sum_{n.j} ({n.y}_{n.j} - {n.target}_{n.j})^2"
    formula = f"L = {each if batch == 1 else f'1/B sum over the samples of {each}'}"
    if not half:
        formula = f"{type(loss).__name__}: {documented(loss)}"
    losses = [_value(loss, z[b : b + 1], t[b : b + 1]) for b in range(batch)]

    def substitute(_: tuple[int, ...]) -> str:
        if batch > 1:
            kept = losses if batch <= show.terms else losses[: show.terms - 1]
            more = [] if batch <= show.terms else ["...", show(losses[-1])]
            text = f"({' + '.join([*map(show, kept), *more])}) / {batch}"
        elif half and z.shape[1] <= show.terms:
            pairs = zip(z[0], t[0], strict=True)
            squares = [f"({show(a)} - {show.factor(b)})^2" for a, b in pairs]
            total = " + ".join(squares)
            text = f"1/2 * {total if len(squares) == 1 else f'({total})'}"
        else:
            text = show(losses[0])
        return f"{text} + {show(trace.penalty)}" if trace.model.penalties else text

    if trace.model.penalties:
        formula += " + penalties"
    target, letters = t, n.j
    if isinstance(loss, (SoftmaxCrossEntropy, CrossEntropy)) and t.shape[1] == 1:
        target = one_hot(t, z.shape[1])
    elif t.shape[1] != z.shape[1]:
        letters = "" if t.shape[1] == 1 else letters
    expected = trace.quantity(
        n.target, letters, "the expected output", target, None, "target", per_sample=True
    )
    value = trace.quantity(
        "L", "", formula, np.array(trace.value), None, "loss", substitute,
        documented=not half, number="2" if half else "",
    )  # fmt: skip
    note = "How far the outputs are from what is expected; training makes this number smaller."
    return Step("loss", "The loss", note, (expected, value))


def _value(loss: Any, prediction: Array, target: Array) -> Any:
    return loss.reader().forward(prediction, target)


def one_hot(classes: Array, count: int) -> Array:
    """Class indices `(B, 1)` as rows with a single 1, `(B, count)`."""
    return np.equal(np.arange(count), classes).astype(np.float64)
