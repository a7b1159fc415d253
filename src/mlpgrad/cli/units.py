"""From a network on scaled data to one on the data's own units, with the same predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mlpgrad.datasets.splitting import Scaling
from mlpgrad.layers.dense import Dense

if TYPE_CHECKING:
    from mlpgrad.sequential import Sequential


def in_own_units(model: Sequential, inputs: Scaling | None, outputs: Scaling | None) -> Sequential:
    """The network that takes unscaled inputs and predicts the unscaled target.

    With inputs (x - m) / s, the first layer's W and b become W / s and b - m W / s; with targets
    (y - m) / s, the last layer's become s W and s b + m. The result computes in double precision,
    since W / s and m W / s may cancel to many digits.

    Parameters
    ----------
    model : Sequential
        Its first layer, if inputs are scaled, and its last, if targets are, is a Dense with bias.
    inputs, outputs : Scaling, optional
        None where nothing is scaled.

    Returns
    -------
    Sequential
        The model itself where nothing is scaled, else a copy.
    """
    if inputs is None and outputs is None:
        return model
    unscaled = model.lifted(np.float64)
    first, last = unscaled.layers[0], unscaled.layers[-1]
    for layer, scaling in ((first, inputs), (last, outputs)):
        if scaling is not None and not (isinstance(layer, Dense) and layer.bias):
            raise TypeError(f"expects a Dense with bias at the scaled end, got {layer!r}")
    if inputs is not None:
        weights, bias = first.params.weights, first.params.bias
        weights /= inputs.deviation[:, None]
        bias -= inputs.mean @ weights
    if outputs is not None:
        weights, bias = last.params.weights, last.params.bias
        weights *= outputs.deviation
        bias *= outputs.deviation
        bias += outputs.mean
    return unscaled
