"""Which symbols of the lecture a layer's numbers have, and which formula each class has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.activations.sigmoids import Identity, Sigmoid
from mlpgrad.layers.base import Layer
from mlpgrad.layers.dense import Dense
from mlpgrad.layers.normalization import BatchNorm, LayerNorm


class Names(NamedTuple):
    """Symbols and index letters around one layer: inputs, sums, outputs, the layer after."""

    x: str
    i: str
    s: str
    y: str
    j: str
    w: str
    b: str
    target: str
    k: str
    w_next: str


GENERAL = Names("x", "i", "s", "y", "j", "w", "b", "yhat", "k", "w")  # the lecture's (8)
HIDDEN = Names("x", "i", "s", "y", "j", "w^a", "b^a", "yhat", "k", "w^b")  # its sections 1 to 3
OUTPUT = Names("y", "j", "s", "z", "k", "w^b", "b^b", "zhat", "", "")


def names(layers: Sequence[Layer]) -> list[Names]:
    """Symbols for each layer: x, y, z with tables a and b where there is one hidden layer."""
    kinds = [is_dense(layer) for layer in layers]
    activations = [is_activation(layer) for layer in layers]
    one_hidden = kinds in ([True, False, True], [True, False, True, False])
    if one_hidden and all(a != d for a, d in zip(activations, kinds, strict=True)):
        return [HIDDEN, HIDDEN, OUTPUT, OUTPUT][: len(layers)]
    return [GENERAL] * len(layers)


def is_dense(layer: Layer) -> bool:
    """Whether it computes as `Dense` does: a subclass with its own formula does not."""
    cls = type(layer)
    return (
        isinstance(layer, Dense) and cls.forward is Dense.forward and cls.backward is Dense.backward
    )


def is_normalization(layer: Layer) -> bool:
    """Whether its output is gain xhat + bias."""
    return type(layer) in (BatchNorm, LayerNorm)


def is_activation(layer: Layer) -> bool:
    """Whether it passes back delta * slope, element by element."""
    return isinstance(layer, Activation) and type(layer).backward is Activation.backward


def documented(described: Any) -> str:
    """The formula of a layer or a loss as its class states it: the docstring's first line."""
    text = type(described).__doc__ or ""
    first = text.strip().partition("\n")[0].strip()
    return first or f"as {type(described).__name__} computes it"


def passed_back(layer: Layer) -> str:
    """The formula of dL/d(input) as the layer's docstring states it, else the layer's formula."""
    for paragraph in re.split(r"\n\s*\n", type(layer).__doc__ or ""):
        found = re.search(r"(With [^:]+: )?dL/d\w+ = .*?(?=\. |\.?$)", " ".join(paragraph.split()))
        if found:
            return found.group()
    return documented(layer)


def call(layer: Layer, argument: str) -> str:
    """An activation as a function: `sigma(s_j)`, `ReLU(s_j)`."""
    name = "sigma" if type(layer) is Sigmoid else type(layer).__name__
    return f"{name}({argument})"


def slope_formula(layer: Layer, argument: str, output: str) -> str:
    """The slope of an activation, by its output where the lecture does so."""
    if type(layer) is Sigmoid:
        return f"{output} (1 - {output})"
    if type(layer) is Identity:
        return ""
    return f"{type(layer).__name__}'({argument})"


def slopes(layer: Activation, z: Array, a: Array) -> Array:
    """f'(z), computed as the layer does."""
    out = np.empty_like(a)
    layer.slope(z, a, out)
    return out
