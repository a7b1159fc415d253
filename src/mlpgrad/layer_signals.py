"""`LayerSignals`: what flows through each layer, recorded while a network trains."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.activations.base import Activation
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk
from mlpgrad.training.callbacks import Callback

FLAT = 5e-3
"""A unit whose slope is below this for every sample passes on next to no delta."""


class LayerSignals(Callback):
    """Record the size of each layer's activations, deltas and gradients after every epoch.

    Measured on the last batch of the epoch, at no cost in between: one pass over the arrays that
    the layers hold anyway. `mlpgrad.plotting.layer_signals(recorder)` draws them: vanishing and
    exploding gradients are seen at a glance.

    Attributes
    ----------
    records : dict
        `records[what][layer]` is a list with one value an epoch, for an ensemble arrays `(E,)`;
        `layer` is position and name such as `"2 Dense(8, 1)"`, and `what` one of

        - `"activation"`: root mean square of what each activation layer puts out;
        - `"delta"`: that of a sample's own delta (dL/dz, the mean over the batch undone) at the
          output of each layer with parameters;
        - `"gradient"`: that of the gradient of all its parameters;
        - `"saturated"`: the share of each activation layer's units whose slope is below 0.005
          for every sample of the batch: a dead ReLU, a saturated sigmoid.

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
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, list[Any]]] = {}
        self._clear()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
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
    """What one layer shows of its last step."""
    found = {}
    delta, outputs = layer.delta, layer.outputs
    if len(layer.grads) and delta is not None:
        # the loss has averaged over the batch: each row holds 1/B of its sample's delta
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
    """Over batch and units: a number, or `(E,)`; in float64, so that small squares survive."""
    return _number(np.sqrt(np.square(values, dtype=np.float64).mean(axis=(-2, -1))))


def _number(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else value
