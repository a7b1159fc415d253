"""MC dropout: the outputs of one network in many passes with active Dropout layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import run_forward, walk
from mlpgrad.layers.dropout import Dropout
from mlpgrad.network.network import Network
from mlpgrad.network.prediction import ROWS_AT_ONCE

STREAM = "mc-dropout"


def dropped_out(network: Network, x: Array, samples: int) -> Array:
    """Return the outputs of MC dropout passes, `(samples, ..., B, O)`.

    Every sample has its own mask in every pass. The masks depend only on the network's seed: the
    same call gives the same numbers, and does not affect other random numbers. All other layers
    are in prediction mode. Gal and Ghahramani 2016, "Dropout as a Bayesian approximation".

    Parameters
    ----------
    network : Network
        A network with a Dropout layer.
    x : array (B, I) or (E, B, I)
        Checked inputs.
    samples : int
        The number of passes.
    """
    samples = arguments.count(samples, "samples", 1, fix="100 is usual")
    layers = _dropping(network)
    each = max(1, ROWS_AT_ONCE // x.shape[-2])
    parts = []
    for start in range(0, x.shape[-2], ROWS_AT_ONCE):
        rows = x[..., start : start + ROWS_AT_ONCE, :].astype(network.dtype)
        counts = [min(each, samples - done) for done in range(0, samples, each)]
        parts.append(np.concatenate([_passes(layers, rows, count) for count in counts]))
    return np.concatenate(parts, axis=-2)


def _passes(layers: list[Layer], rows: Array, count: int) -> Array:
    """Return the outputs of `count` passes at once, `(count, ..., B, O)`, on copies of the rows."""
    with np.errstate(all="ignore"):  # as in `Prediction`
        out = run_forward(layers, np.concatenate([rows] * count, axis=-2))
    apart = out.reshape(*out.shape[:-2], count, rows.shape[-2], out.shape[-1])
    return np.array(np.moveaxis(apart, -3, 0))


def _dropping(network: Network) -> list[Layer]:
    """Return layers in prediction mode on the same parameters, but with active Dropout."""
    if not has_dropout(network.layers):
        raise ValueError(
            f"samples expects a network with Dropout layers, which make its passes differ, got "
            f"{list(network.layers)!r:.200}; leave samples out, or add mg.Dropout(0.1)"
        )
    twins = [layer.reader() for layer in network.layers]
    seeds: Any = network.seed(STREAM).spawn(network.ensemble_size or 1)
    rngs = [np.random.default_rng(seed) for seed in seeds]
    for _, layer in walk(twins):
        if isinstance(layer, Dropout):
            layer.training, layer._rngs = True, rngs
    return twins


def has_dropout(layers: Sequence[Layer]) -> bool:
    """Return whether there is a Dropout layer among these layers or inside one of them."""
    return any(isinstance(layer, Dropout) for _, layer in walk(layers))
