"""The lecture's symbols for the numbers of a layer, and the formula of each class."""

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

SAMPLES = "sum over the samples of"


class Names(NamedTuple):
    """Symbols and index letters of one layer: inputs, sums, outputs, and the layer after it."""

    x: str
    i: str
    s: str
    y: str
    j: str
    w: str
    b: str
    delta: str
    k: str
    w_next: str
    delta_next: str
    letter: str = ""
    """The letter that distinguishes the parameters of this layer, as in the lecture's w^a."""


GENERAL = Names("x", "i", "s", "y", "j", "w", "b", "delta", "k", "w", "delta")  # the lecture's (8)
HIDDEN = Names("x", "i", "s", "y", "j", "w^a", "b^a", "delta", "k", "w^b", "delta", "a")
OUTPUT = Names("y", "j", "s", "z", "k", "w^b", "b^b", "delta", "", "", "", "b")


def names(layers: Sequence[Layer], blocks: Sequence[tuple[int, ...]]) -> list[Names]:
    """Return the symbols of each layer: the lecture's x, y, z if there is one hidden layer.

    In other networks each layer, with or without neurons, has a letter, in the order of the
    forward pass, so that no two neurons have the same name: y^a_1, y^b_1, ...
    """
    kinds = [is_dense(layer) for layer in layers]
    activations = [is_activation(layer) for layer in layers]
    one_hidden = kinds in ([True, False, True], [True, False, True, False])
    if one_hidden and all(a != d for a, d in zip(activations, kinds, strict=True)):
        return [HIDDEN, HIDDEN, OUTPUT, OUTPUT][: len(layers)]
    if len(blocks) == 1:
        return [GENERAL] * len(layers)
    lettered = [_lettered(number) for number in range(len(blocks))]
    return [n for n, block in zip(lettered, blocks, strict=True) for _ in block]


def _lettered(number: int) -> Names:
    """The symbols of a layer in a deep network: those of layer c lead from y^b to y^c."""
    before, own, after = letter_of(number - 1), letter_of(number), letter_of(number + 1)
    x = f"y^{before}" if number else "x"
    return Names(
        x, "i", f"s^{own}", f"y^{own}", "j", f"w^{own}", f"b^{own}", f"delta^{own}", "k",
        f"w^{after}", f"delta^{after}", own,
    )  # fmt: skip


def inner(n: Names, number: int) -> Names:
    """The symbols of the layer with this number, from 1, inside a layer with the symbols n."""
    own = f"{n.letter or 'a'}{number}"
    return n._replace(
        x=f"x^{own}", y=f"y^{own}", w=f"w^{own}", b=f"b^{own}", delta=f"delta^{own}", letter=own
    )


def letter_of(number: int) -> str:
    """a to z, then aa, ab ..."""
    if number < 26:
        return "abcdefghijklmnopqrstuvwxyz"[number]
    return letter_of(number // 26 - 1) + letter_of(number % 26)


def is_dense(layer: Layer) -> bool:
    """Return whether a layer computes what `Dense` does; subclasses may have other formulas."""
    cls = type(layer)
    return (
        isinstance(layer, Dense) and cls.forward is Dense.forward and cls.backward is Dense.backward
    )


def is_normalization(layer: Layer) -> bool:
    """Whether a layer's output is gain xhat + bias."""
    return type(layer) in (BatchNorm, LayerNorm)


def is_activation(layer: Layer) -> bool:
    """Whether a layer passes back delta * slope, element by element."""
    return isinstance(layer, Activation) and type(layer).backward is Activation.backward


def documented(described: Any) -> str:
    """Return the formula of a layer or a loss: the first line of the docstring of its class."""
    text = type(described).__doc__ or ""
    first = text.strip().partition("\n")[0].strip()
    return first or f"as {type(described).__name__} computes it"


def passed_back(layer: Layer) -> str:
    """Return the formula of dL/d(input) from the layer's docstring, or else the layer's formula."""
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
    """Return the slope of an activation, in terms of its output if the lecture writes it so."""
    if type(layer) is Sigmoid:
        return f"{output} (1 - {output})"
    if type(layer) is Identity:
        return ""
    return f"{type(layer).__name__}'({argument})"


def slopes(layer: Activation, z: Array, a: Array) -> Array:
    """Return the slope f'(z), which the layer itself computes."""
    out = np.empty_like(a)
    layer.slope(z, a, out)
    return out
