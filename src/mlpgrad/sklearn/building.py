"""Building a network from an estimator's options, with scikit-learn's initial weights."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mlpgrad._core.arguments import shown
from mlpgrad.layers import (
    Activation,
    BatchNorm,
    Dense,
    Dropout,
    Identity,
    Layer,
    LayerNorm,
    ReLU,
    Residual,
    Sigmoid,
    Tanh,
)
from mlpgrad.layers.chain import walk
from mlpgrad.losses.base import Loss
from mlpgrad.network.network import Network
from mlpgrad.sequential import Sequential
from mlpgrad.sklearn.sparse import _SparseDense

ACTIVATIONS: dict[str, type[Activation]] = {
    "identity": Identity,
    "logistic": Sigmoid,
    "tanh": Tanh,
    "relu": ReLU,
}
NORMALIZATIONS: dict[str, type[BatchNorm] | type[LayerNorm]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
}


class Plan(NamedTuple):
    """The components of the hidden layers of an estimator."""

    sizes: tuple[int, ...]
    activations: tuple[str | Activation, ...]
    """For each hidden layer, a name or an `Activation`; and one more for the output, which has no
    activation but draws its initial weights as for this one.
    """
    dropout: float = 0.0
    normalization: str | None = None
    residual: bool = False

    def layers(self, inputs: int, outputs: int, *, sparse: bool) -> list[Layer]:
        """Return new layers for the given numbers of inputs and outputs."""
        widths = [inputs, *self.sizes, outputs]
        layers: list[Layer] = []
        for number, (into, out) in enumerate(itertools.pairwise(widths)):
            first: Layer = (_SparseDense if sparse and not number else Dense)(into, out)
            block = [first, *self._following(number, out)]
            inside = self.residual and 0 < number < len(self.sizes) and into == out
            layers += [Residual(block)] if inside else block
        return layers

    def _following(self, number: int, width: int) -> Iterator[Layer]:
        """Return the layers after a hidden `Dense` layer."""
        if number == len(self.sizes):
            return
        if self.normalization is not None:
            yield NORMALIZATIONS[self.normalization](width)
        activation = self.activations[number]
        if isinstance(activation, Activation):
            yield copy.deepcopy(activation)
        elif activation != "identity":
            yield ACTIVATIONS[activation]()
        if self.dropout:
            yield Dropout(self.dropout)

    def factors(self) -> list[float] | None:
        """Return scikit-learn's factor for each layer's initial weights; None if it has none."""
        if any(isinstance(activation, Activation) for activation in self.activations):
            return None
        return [2.0 if activation == "logistic" else 6.0 for activation in self.activations]


def activations_of(given: Any, count: int) -> tuple[str | Activation, ...]:
    """Return the activation of each hidden layer, with the last one repeated: see `Plan`.

    Parameters
    ----------
    given : str, Activation, or sequence of these
        One activation for all hidden layers, or one per layer.
    count : int
    """
    one = isinstance(given, (str, Activation))
    each = (given,) * count if one else tuple(given)
    if len(each) != count:
        raise ValueError(
            f"activation expects one for each of {count} hidden layers, got {len(each)}; give as "
            "many as there are hidden_layer_sizes, or a single one for all"
        )
    for activation in each:
        if not isinstance(activation, Activation) and activation not in ACTIVATIONS:
            raise ValueError(
                f"activation expects {sorted(ACTIVATIONS)} or an object such as mlpgrad.GELU(), "
                f"got {shown(activation)}"
            )
    return (*each, each[-1] if each else given if one else "relu")


def build(
    plan: Plan,
    inputs: int,
    outputs: int,
    loss: Loss,
    *,
    dtype: Any,
    sparse: bool,
    random_state: np.random.RandomState,
    members: int = 1,
    target_scaling: str | None = None,
) -> Sequential:
    """Return the network of an estimator.

    Parameters
    ----------
    plan : Plan
    inputs, outputs : int
    loss : Loss
    dtype : dtype
    sparse : bool
        Whether the network is trained on a SciPy matrix.
    random_state : RandomState
        Draws the initial weights, and a seed if layers need random numbers.
    members : int
        Number of networks of the ensemble.
    target_scaling : None or "standard"
        Whether targets are scaled; the scaling is fitted by the caller that trains the network.
    """
    layers, factors = plan.layers(inputs, outputs, sparse=sparse), plan.factors()
    needs_seed = factors is None or any(layer.is_random for _, layer in walk(layers))
    seed = int(random_state.randint(np.iinfo(np.int32).max)) if needs_seed else 0
    size = members if members > 1 else None
    model = Sequential(
        layers,
        loss=loss,
        dtype=dtype,
        random_state=seed,
        ensemble_size=size,
        target_scaling=target_scaling,
    )
    if factors is not None:
        draw(model, random_state, factors)
    return model


def dense_layers(network: Network) -> Iterator[Dense]:
    """Return the layers of `coefs_` and `intercepts_`, in order."""
    return (layer for _, layer in walk(network.layers) if isinstance(layer, Dense))


def take_over(network: Network, before: Network) -> None:
    """Copy parameters, statistics and target scaling from a network with the same hidden layers.

    What the earlier network lacks, such as the slope of another activation, stays as it is.

    Raises
    ------
    ValueError
        If the networks differ in the number of outputs.
    """
    outputs, known = ([*dense_layers(one)][-1].out_features for one in (network, before))
    if outputs != known:
        raise ValueError(
            f"loss={network.loss!r} needs {outputs} outputs, but the network was fitted with "
            f"{known}; fit a new one, without a warm start"
        )
    old = _by_place(before)
    for place, layer in _by_place(network).items():
        if place in old:
            for new, values in ((layer.params, old[place].params), (layer.state, old[place].state)):
                for name in new:
                    if new[name].shape == values[name].shape:
                        new[name][...] = values[name]
    scalings: Any = network.scaling_of_targets, before.scaling_of_targets
    if None not in scalings:
        for name in scalings[0].statistics():
            scalings[0].state[name][...] = scalings[1].state[name]


def _by_place(network: Network) -> dict[tuple[int, str], Layer]:
    """Return the layers by the number of dense layers up to them, and their class."""
    found: dict[tuple[int, str], Layer] = {}
    number = 0
    for _, layer in walk(network.layers):
        number += isinstance(layer, Dense)
        kind = Dense if isinstance(layer, Dense) else type(layer)
        found.setdefault((number, kind.__name__), layer)
    return found


def draw(network: Network, random_state: np.random.RandomState, factors: Sequence[float]) -> None:
    """Draw weights and biases from U(-b, b), b = sqrt(factor / (inputs + outputs)), layer by layer.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks"; scikit-learn uses the factor 2 for logistic units, and also draws the biases.
    """
    for member in range(network.ensemble_size or 1):
        for layer, factor in zip(dense_layers(network), factors, strict=True):
            bound = np.sqrt(factor / (layer.in_features + layer.out_features))
            for view in layer.params.weights, layer.params.bias:
                part = view if network.ensemble_size is None else view[member]
                part[...] = random_state.uniform(-bound, bound, part.shape)
