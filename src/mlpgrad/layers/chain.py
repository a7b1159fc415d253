"""Stacks of layers: checks, iteration, forward and backward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mlpgrad._core.arguments import is_integer
from mlpgrad._core.arrays import Array
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.base import Layer
from mlpgrad.layers.dense import Dense
from mlpgrad.layers.standardize import Standardize


def run_forward(layers: Sequence[Layer], x: Array, weights: Array | None = None) -> Array:
    """Pass a batch through the layers in order; each keeps its input and output.

    The sample weights are for layers that compute statistics over the batch.
    """
    for layer in layers:
        layer._inputs, layer._sample_weights = x, weights
        layer._outputs = x = layer._direct_forward(x)
    return x


def run_backward(layers: Sequence[Layer], delta: Array) -> Array | None:
    """Pass a delta through the layers in reverse order: the recursion (8) of the lecture."""
    passed: Array | None = delta
    for layer in reversed(layers):
        layer._delta = passed
        passed = layer._direct_backward(passed)  # type: ignore[arg-type]  # None only from the first
    return passed


@contextmanager
def giving_input_delta(layers: Sequence[Layer]) -> Iterator[None]:
    """Context manager in which the first layer, too, returns dL/dx, which no training needs."""
    first = layers[0]
    try:
        first.wants_input_delta = True
        first.forget_buffers()
        yield
    finally:
        first.wants_input_delta = False
        first.forget_buffers()


def walk(layers: Sequence[Layer], prefix: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer in order with its position: `2`, or `2.0` for the first inside layer 2."""
    for index, layer in enumerate(layers):
        yield f"{prefix}{index}", layer
        yield from walk(layer.children(), f"{prefix}{index}.")


def check_chain(layers: Sequence[Layer], prefix: str = "") -> None:
    """Raise an error unless these are unused layers with matching widths."""
    if not layers:
        raise ValueError("layers expects at least one layer, got an empty list")
    seen: dict[int, str] = {}
    for position, layer in walk(layers, prefix):
        if id(layer) in seen:
            raise ValueError(
                f"layer {position} {layer!r} is the same object as layer {seen[id(layer)]}; "
                f"two layers cannot share their buffers: make a second one"
            )
        if "_bound" in layer.__dict__:
            raise ValueError(
                f"layer {position} {layer!r} already belongs to a model; make a new one, or a "
                "copy with copy.deepcopy"
            )
        if isinstance(layer, Standardize) and layer.mean is None and position != "0":
            raise ValueError(
                f"layer {position} {layer!r} expects to be the first layer, since it is fitted to "
                f"the columns of the data; move it to the front, use BatchNorm, or give it mean "
                f"and deviation"
            )
        seen[id(layer)] = position
    _check_widths(layers, prefix)


def _check_widths(layers: Sequence[Layer], prefix: str) -> None:
    """Raise an error if a layer's input width differs from the output width before it."""
    width, source = None, "the input"
    for index, layer in enumerate(layers):
        expected = layer.in_features
        for features in (expected, layer.out_features):
            if features is not None and (not is_integer(features) or features < 1):
                raise ValueError(
                    f"layer {prefix}{index} {layer!r} expects widths that are ints >= 1, "
                    f"got {features!r}"
                )
        if None not in (expected, width) and expected != width:
            raise ValueError(
                f"layer {prefix}{index} {layer!r} expects {expected} features, got {width} from "
                f"{source}; make the sizes match"
            )
        width = layer.out_features or expected or width
        source = f"layer {prefix}{index} {layer!r}"


def link(layers: Sequence[Layer]) -> None:
    """Tell each layer which activation follows it, on which its initial weights depend."""
    following: Layer | None = None
    for layer in reversed(layers):
        link(layer.children())
        layer._following = following
        if isinstance(layer, Activation):
            following = layer
        elif isinstance(layer, Dense):
            following = None  # it does not follow the layers before
