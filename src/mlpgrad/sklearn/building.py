"""From an estimator's options to a network, with the initial weights that scikit-learn draws."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mlpgrad.layers import Activation, Dense, Identity, Layer, ReLU, Sigmoid, Tanh
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


def build(
    widths: Sequence[int],
    activation: str,
    loss: Loss,
    *,
    dtype: Any,
    sparse: bool,
    random_state: np.random.RandomState,
) -> Sequential:
    """The network of an estimator.

    Parameters
    ----------
    widths : sequence of int
        Of the input, of each hidden layer, and of the output.
    activation : str
        Of the hidden layers.
    loss : Loss
    dtype : dtype
    sparse : bool
        Whether the network is trained on a SciPy matrix.
    random_state : RandomState
        Draws the initial weights.
    """
    layers: list[Layer] = []
    for number, (into, out) in enumerate(itertools.pairwise(widths)):
        layers.append((_SparseDense if sparse and number == 0 else Dense)(into, out))
        if number < len(widths) - 2 and activation != "identity":
            layers.append(ACTIVATIONS[activation]())
    model = Sequential(layers, loss=loss, dtype=dtype, random_state=0)
    draw(model, random_state, factor=2.0 if activation == "logistic" else 6.0)
    return model


def dense_layers(network: Network) -> Iterator[Dense]:
    """The layers that `coefs_` and `intercepts_` list, in order."""
    return (layer for _, layer in walk(network.layers) if isinstance(layer, Dense))


def draw(network: Network, random_state: np.random.RandomState, factor: float) -> None:
    """Weights and biases from U(-b, b), b = sqrt(factor / (inputs + outputs)), layer by layer.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks"; scikit-learn takes the factor 2 for logistic units, and draws the biases as well.
    """
    for member in range(network.ensemble_size or 1):
        for layer in dense_layers(network):
            bound = np.sqrt(factor / (layer.in_features + layer.out_features))
            for view in layer.params.weights, layer.params.bias:
                part = view if network.ensemble_size is None else view[member]
                part[...] = random_state.uniform(-bound, bound, part.shape)
