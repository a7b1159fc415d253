"""What one call of `backpropagate` left in a model, with the symbols to name it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.explanation.notation import is_activation, is_dense, is_normalization, names
from mlpgrad.explanation.quantities import Numbers, Quantity
from mlpgrad.layers.chain import walk

if TYPE_CHECKING:
    from mlpgrad.layers.base import Layer
    from mlpgrad.network.network import Network
    from mlpgrad.network.storage import Slot


class Trace:
    """Copies of every number of one step of back-propagation.

    Attributes
    ----------
    inputs, outputs, deltas : list of array (B, n)
        By layer; `deltas[i]` is dL/d(output of layer i).
    blocks : list of tuple of int
        Layers that make up one layer of neurons: a Dense and the activation after it.
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
        self.names = names(self.layers)
        self.blocks: list[tuple[int, ...]] = []
        for index in range(len(self.layers)):
            if self.activation[index] and index and self.dense[index - 1]:
                self.blocks[-1] += (index,)
            else:
                self.blocks.append((index,))

    def params(self, index: int) -> dict[str, Array]:
        """The parameters of layer `index` itself, by kind, as they were."""
        slots = [slot for slot in self.model.parameters if slot.layer is self.layers[index]]
        return {slot.kind: slot.view(self.flat_params) for slot in slots}

    def slots(self, index: int) -> list[Slot]:
        """Parameters of layer `index` and the layers inside it."""
        inside = [layer for _, layer in walk([self.layers[index]])]
        return [s for s in self.model.parameters if any(s.layer is layer for layer in inside)]

    def symbol(self, index: int, slot: Slot) -> tuple[str, str]:
        """A parameter's symbol and index letters."""
        n, dense = self.names[index], is_dense(slot.layer)
        if dense and slot.kind == "weights":
            return n.w, n.i + n.j
        if dense and slot.kind == "bias":
            return n.b, n.j
        return slot.kind, (n.i + n.j)[-len(slot.shape) :] if len(slot.shape) <= 2 else ""

    def argument(self, index: int) -> str:
        """Symbol of an activation's input: the sums of a Dense in front, else its inputs."""
        n = self.names[index]
        return n.s if index and self.dense[index - 1] else n.x

    def title(self, block: tuple[int, ...]) -> str:
        """A block of layers in words: `hidden layer 1: Dense(2, 3), Sigmoid()`."""
        shown = ", ".join(repr(self.layers[index]) for index in block)
        if block == self.blocks[-1]:
            return f"output layer, {shown}"
        hidden = [b for b in self.blocks[:-1] if self.dense[b[0]]]
        if block in hidden:
            count = f" {hidden.index(block) + 1}" if len(hidden) > 1 else ""
            return f"hidden layer{count}, {shown}"
        return shown

    def short_title(self, block: tuple[int, ...]) -> str:
        """`hidden layer 1`, or for layers that are no neurons their class: `BatchNorm`."""
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
        return Quantity(
            symbol, letters, formula, value, layer, role, alone, self.show.digits, **options
        )


class LayerNumbers(NamedTuple):
    """What one layer saw, also inside another: arrays (B, n)."""

    inputs: Array
    delta: Array
    normalized: Array | None
    """xhat, where the layer normalises."""


def layer_numbers(layer: Layer) -> LayerNumbers:
    """Copies of a layer's numbers of the last step."""
    xhat = layer._normal.copy() if is_normalization(layer) else None
    return LayerNumbers(_seen(layer.inputs), _seen(layer.delta), xhat)


def _seen(array: Array | None) -> Array:
    assert array is not None  # backpropagate has run
    return np.asarray(array)
