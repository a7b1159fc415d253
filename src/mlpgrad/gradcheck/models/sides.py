"""The sides of kinks: whether a kink lies between two points."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad.layers.chain import walk
from mlpgrad.network.network import Network


class Sides:
    """The side of each kink that a model's layers, loss and penalties are on after a pass."""

    def __init__(self, model: Network) -> None:
        self.model = model
        self._layers = [part for _, part in walk(model.layers) if hasattr(part, "kink_signature")]

    def now(self) -> list[Array]:
        """Return copies of the sides of the last pass."""
        return [signature.copy() for signature in self._now()]

    def crossed(self, base: list[Array], rows: int = 1) -> Array:
        """Return, for each member of an ensemble, whether the last pass was on other sides."""
        moved = np.zeros(rows, bool)
        for now, before in zip(self._now(), base, strict=True):
            count = 1 if now.shape == before.shape else rows
            moved |= (now != before).reshape(count, -1).any(axis=1)
        return moved

    def _now(self) -> list[Array]:
        loss = self.model.loss
        found = [
            layer.kink_signature(layer._inputs)
            for layer in self._layers
            if layer._inputs is not None
        ]
        found.append(loss.kink_signature(loss._prediction, loss._target))
        found += [part.kink_signature(params) for part, params, _ in self.model._penalised]
        return [signature for signature in found if signature is not None]
