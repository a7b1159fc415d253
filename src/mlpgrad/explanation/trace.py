"""The numbers that one call of `backpropagate` leaves in a model, with their symbols."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.losses import written
from mlpgrad.explanation.notation import (
    Names,
    inner,
    is_activation,
    is_dense,
    is_normalization,
    names,
)
from mlpgrad.explanation.quantities import Numbers, Quantity, largest
from mlpgrad.layers.chain import walk
from mlpgrad.losses.categorical import _CategoricalLoss

if TYPE_CHECKING:
    from mlpgrad.explanation.written import Written
    from mlpgrad.layers.base import Layer
    from mlpgrad.network.network import Network
    from mlpgrad.network.storage import Slot


class Trace:
    """Copies of every number of one step of back-propagation.

    Attributes
    ----------
    inputs, outputs, deltas : list of array (B, n)
        One array for each layer; `deltas[i]` is dL/d(output of layer i).
    blocks : list of tuple of int
        The positions of the layers that form one layer of neurons: a Dense and the activation
        after it, or any other layer alone.
    widths : list of int
        How many numbers there are in the input and in each block.
    kept : list of tuple of int
        Which of these numbers are shown: all, or the largest inputs and outputs and the outputs
        that the loss is most sensitive to.
    labels : list of tuple of str
        Their names, where they are known.
    written : Written or None
        The loss in symbols and numbers, if it is a loss of mlpgrad.
    """

    def __init__(self, model: Network, x: Array, y: Any, digits: int, terms: int) -> None:
        self.model, self.layers = model, model.layers
        self.value = model.backpropagate(x, y)
        self.show = Numbers(digits, terms)
        self.x, self.target, _ = model._cast(x, y, None)
        self.inputs = [_seen(layer.inputs) for layer in self.layers]
        self.outputs = [_seen(layer.outputs) for layer in self.layers]
        self.deltas = [_seen(layer.delta) for layer in self.layers]
        self.seen = {id(layer): layer_numbers(layer) for _, layer in walk(self.layers)}
        self.flat_params, self.flat_grads = model.params.copy(), model.grads.copy()
        self.penalty = model.penalty()
        self.dense = [is_dense(layer) for layer in self.layers]
        self.activation = [is_activation(layer) for layer in self.layers]
        self.blocks = self._blocks()
        self.column = {i: c for c, block in enumerate(self.blocks, 1) for i in block}
        self.names = names(self.layers, self.blocks)
        self.written = self.rewritten(self.outputs[-1])
        seen = [self.x, *(self.outputs[block[-1]] for block in self.blocks)]
        self.widths = [array.shape[-1] for array in seen]
        sizes = [np.abs(array).max(axis=0) for array in (*seen[:-1], self.deltas[-1])]
        self.kept = [largest(size, terms) for size in sizes]
        self.labels = self._labels()

    def _labels(self) -> list[tuple[str, ...]]:
        """The names of features and classes; without names, classes have their numbers from 0."""
        labels: list[tuple[str, ...]] = [() for _ in self.widths]
        model, outputs = self.model, self.widths[-1]
        if model.encoder is not None:
            labels[0] = tuple(model.encoder.feature_names_out())
        elif model.feature_names_ is not None:
            labels[0] = model.feature_names_
        if isinstance(model.loss, _CategoricalLoss):
            known = range(outputs) if model.classes_ is None else model.classes_.tolist()
            labels[-1] = tuple(map(_class_name, known))
        elif model.classes_ is not None and outputs == 1:
            labels[-1] = (_class_name(model.classes_.tolist()[-1]),)  # its probability
        return labels

    def _blocks(self) -> list[tuple[int, ...]]:
        blocks: list[tuple[int, ...]] = []
        for index in range(len(self.layers)):
            if self.activation[index] and index and self.dense[index - 1]:
                blocks[-1] += (index,)
            else:
                blocks.append((index,))
        return blocks

    def rewritten(self, outputs: Array) -> Written | None:
        """The loss in symbols and numbers for these outputs."""
        n = self.names[-1]
        return written(self.model.loss, n.y, n.j, outputs, self.target, self.show)

    def params(self, index: int) -> dict[str, Array]:
        """The parameters of layer `index` itself before the update, by kind."""
        slots = [slot for slot in self.model.parameters if slot.layer is self.layers[index]]
        return {slot.kind: slot.view(self.flat_params) for slot in slots}

    def slots(self, index: int) -> list[Slot]:
        """The parameters of layer `index` and of the layers inside it."""
        inside = [layer for _, layer in walk([self.layers[index]])]
        return [s for s in self.model.parameters if any(s.layer is layer for layer in inside)]

    def symbol(self, index: int, slot: Slot) -> tuple[str, str]:
        """The symbol and the index letters of a parameter."""
        n, dense = self.names_of(index, slot), is_dense(slot.layer)
        if dense and slot.kind == "weights":
            return n.w, n.i + n.j
        if dense and slot.kind == "bias":
            return n.b, n.j
        symbol = f"{slot.kind}^{n.letter}" if n.letter else slot.kind
        return symbol, (n.i + n.j)[-len(slot.shape) :] if len(slot.shape) <= 2 else ""

    def names_of(self, index: int, slot: Slot) -> Names:
        """The symbols of the layer of a parameter: layer `index`, or one that is inside it."""
        inside = [layer for _, layer in walk([self.layers[index]])][1:]
        found = [number for number, layer in enumerate(inside, 1) if layer is slot.layer]
        return inner(self.names[index], found[0]) if found else self.names[index]

    def argument(self, index: int) -> str:
        """The symbol of an activation's input: s after a Dense, else x."""
        n = self.names[index]
        return n.s if index and self.dense[index - 1] else n.x

    def title(self, block: tuple[int, ...]) -> str:
        """A block of layers in words: `hidden layer 1, Dense(2, 3), Sigmoid()`."""
        shown = ", ".join(repr(self.layers[index]) for index in block)
        if block == self.blocks[-1]:
            return f"output layer, {shown}"
        hidden = [b for b in self.blocks[:-1] if self.dense[b[0]]]
        if block in hidden:
            count = f" {hidden.index(block) + 1}" if len(hidden) > 1 else ""
            return f"hidden layer{count}, {shown}"
        return shown

    def short_title(self, block: tuple[int, ...]) -> str:
        """`hidden layer 1`, or the class of a layer that has no neurons: `BatchNorm`."""
        if self.dense[block[0]]:
            return self.title(block).partition(",")[0]
        return type(self.layers[block[0]]).__name__

    def quantity(
        self,
        symbol: str,
        letters: str,
        formula: str,
        value: Array,
        layer: int | None,
        role: str,
        substitute: Any = None,
        **options: Any,
    ) -> Quantity:
        """A Quantity with this trace's digits; without `substitute` the number stands alone."""
        alone = substitute or (lambda at: "")
        column = len(self.blocks) if layer is None else self.column[layer]
        column = 0 if role == "input" else column
        shape = value.shape[1:] if options.get("per_sample") else value.shape
        kept = tuple(self._kept(value, axis, column + 1 + axis) for axis in range(-len(shape), 0))
        labels = self.labels[column] if len(shape) == 1 else ()
        labels = labels if (len(labels),) == shape[-1:] else ()
        return Quantity(
            symbol, letters, formula, value, layer, role, alone, self.show.digits,
            kept=kept, labels=labels, **options,
        )  # fmt: skip

    def _kept(self, value: Array, axis: int, column: int) -> tuple[int, ...]:
        """The elements of an axis that are shown: the units of a column if the axis has them."""
        count = value.shape[axis]
        if column >= 0 and self.widths[column] == count:
            return self.kept[column]
        others = tuple(a for a in range(value.ndim) if a != axis % value.ndim)
        return largest(np.abs(value).max(axis=others), self.show.terms)


def _class_name(label: Any) -> str:
    return label if isinstance(label, str) else f"class {label}"


class LayerNumbers(NamedTuple):
    """The numbers of one layer, or of a layer inside another: arrays (B, n)."""

    inputs: Array
    delta: Array
    normalized: Array | None
    """The normalized inputs xhat; None if the layer does not normalize."""


def layer_numbers(layer: Layer) -> LayerNumbers:
    """Copies of the numbers of a layer in its last step."""
    xhat = layer._normal.copy() if is_normalization(layer) else None
    return LayerNumbers(_seen(layer.inputs), _seen(layer.delta), xhat)


def _seen(array: Array | None) -> Array:
    assert array is not None  # backpropagate has run
    return np.asarray(array)
