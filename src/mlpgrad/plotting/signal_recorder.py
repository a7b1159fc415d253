"""`LayerSignals`: the activations, deltas and gradients of each layer, recorded during training."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.training.callbacks import Callback, expect_optimizer

FLAT = 5e-3
"""A unit whose slope is below this for every sample passes back almost no delta."""


class LayerSignals(Callback):
    """Record the size of each layer's activations, deltas and gradients after every epoch.

    The values are measured on the last batch of each epoch, in one pass over arrays that the
    layers hold; the other batches cost nothing. `mlpgrad.plotting.layer_signals(recorder)` draws
    them and shows vanishing and exploding gradients at a glance. Each call of `fit` starts new
    records.

    Attributes
    ----------
    records : dict of dict
        `records[what][layer]` is a list with one value per epoch: a number, or an array `(E,)` for
        an ensemble. The key `layer` is the layer's position and name, such as `"2 Dense(8, 1)"`,
        and `what` is one of

        - `"activation"`: the root mean square of the outputs of each activation layer;
        - `"delta"`: the root mean square of the samples' deltas (dL/dz without the average over
          the batch) at the output of each layer with parameters;
        - `"gradient"`: the root mean square of the gradient of all parameters of such a layer;
        - `"saturated"`: the fraction of the units of each activation layer whose slope is below
          0.005 for every sample of the batch: dead ReLUs, saturated sigmoids.

    Raises
    ------
    ValueError
        From `fit`, with a method that makes no step for each batch, such as `LBFGS`.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> x, y = mg.datasets.xor()
    >>> model = mg.Sequential([mg.Dense(2, 4), mg.Sigmoid(), mg.Dense(4, 1)],
    ...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
    >>> recorder = mg.LayerSignals()
    >>> history = model.fit(x, y, optimizer=mg.SGD(0.1), epochs=3, callbacks=[recorder], verbose=0)
    >>> list(recorder.records["delta"])
    ['0 Dense(2, 4)', '2 Dense(4, 1)']
    >>> recorder.records["saturated"]
    {'1 Sigmoid()': [0.0, 0.0, 0.0]}
    >>> ax = mg.plotting.layer_signals(recorder)
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, list[Any]]] = {}
        self._clear()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        expect_optimizer(self, "a step for each batch")
        self._clear()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        for position, layer in walk(self.model.layers):
            for what, value in _signals(layer).items():
                kept = self.records[what].setdefault(f"{position} {layer!r}", [])
                kept.append(value)

    def _clear(self) -> None:
        self.records.clear()
        self.records |= {what: {} for what in ("activation", "delta", "gradient", "saturated")}


def _signals(layer: Layer) -> dict[str, Any]:
    """The signals of one layer in its last step, by name."""
    found = {}
    delta, outputs = layer.delta, layer.outputs
    if len(layer.grads) and delta is not None:
        # the loss averages over the batch, so that each row is 1/B of its sample's delta
        found["delta"] = _root_mean_square(delta * delta.shape[-2])
        lead = delta.shape[:-2]
        grads = [grad.reshape(*lead, -1) for _, grad in layer.grads.items()]
        found["gradient"] = _root_mean_square(np.concatenate(grads, axis=-1)[..., None])
    if isinstance(layer, Activation) and outputs is not None:
        found["activation"] = _root_mean_square(outputs)
        slopes = np.empty_like(outputs)
        layer.slope(np.broadcast_to(layer.inputs, outputs.shape), outputs, slopes)  # type: ignore[arg-type]
        flat = (np.abs(slopes) < FLAT).all(axis=-2)
        found["saturated"] = _number(flat.mean(axis=-1))
    return found


def _root_mean_square(values: Array) -> Any:
    """The mean over batch and units, a number or `(E,)`; in float64: small squares underflow."""
    return _number(np.sqrt(np.square(values, dtype=np.float64).mean(axis=(-2, -1))))


def _number(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value
