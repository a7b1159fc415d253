"""The `repr` of a network and its table of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.described import suggesting
from mlpgrad._core.terminal import Text
from mlpgrad.layers.chain import walk
from mlpgrad.losses.base import Loss
from mlpgrad.network.labels import Labels, listed
from mlpgrad.network.storage import Storage
from mlpgrad.penalties import Penalty


class Shown(Storage):
    """The part of a network that describes it as text."""

    loss: Loss
    penalties: Sequence[Penalty]
    target_scaling: str | None
    classes: Any
    encoder: Any
    _labels: Labels | None

    @suggesting
    def summary(self) -> str:
        """Return a table of the layers: position, layer, output shape, number of parameters.

        Examples
        --------
        >>> import mlpgrad as mg
        >>> model = mg.Sequential([mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
        ...                       loss=mg.HalfSquaredError())
        >>> print(model.summary())
           layer        output  parameters
        0  Dense(2, 4)  (B, 4)          12
        1  Tanh()       (B, 4)           0
        2  Dense(4, 1)  (B, 1)           5
        17 parameters, 68 bytes (float32), HalfSquaredError()
        """
        rows = [("", "layer", "output", "parameters")]
        lead = "".join(f"{size}, " for size in self.lead)
        width, slots = self.in_features, self.parameters.by_layer()
        for position, layer in walk(self.layers):
            width = layer.out_features or layer.in_features or width
            count = sum(slot.stop - slot.start for slot in slots.get(id(layer), ()))
            label = "  " * position.count(".") + repr(layer)
            rows.append((position, label, f"({lead}B, {width or 'I'})", f"{count:,}"))
        a, b, c, d = (max(map(len, column)) for column in zip(*rows, strict=True))
        lines = [f"{p:<{a}}  {n:<{b}}  {o:<{c}}  {k:>{d}}" for p, n, o, k in rows]
        networks = f" in each of {self.ensemble_size} networks" if self.lead else ""
        total = (
            f"{self._params.shape[-1]:,} parameters{networks}, {self._params.nbytes:,} bytes "
            f"({self.dtype}), {self.loss!r}"
        )
        if self.target_scaling is not None:
            total += f", target_scaling={self.target_scaling!r}"
        labels = None if self._labels is None else self._labels.classes.tolist()
        if self.loss.classifies and labels and labels != [*range(len(labels))]:
            total += f", classes {listed(labels)}"
        return Text("\n".join([*lines, total]))

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        options = [f"loss={self.loss!r}"]
        if self.penalties:
            options.append(f"penalties={[*self.penalties]!r}")
        if self.dtype != np.float32:
            options.append(f'dtype="{self.dtype}"')
        if self.ensemble_size is not None:
            options.append(f"ensemble_size={self.ensemble_size}")
        if self.target_scaling is not None:
            options.append(f'target_scaling="{self.target_scaling}"')
        if self.classes is not None:
            options.append(f"classes={[*self.classes]}")
        if self.encoder is not None:
            options.append(f"encoder={self.encoder!r}")
        return f"{type(self).__name__}([\n{lines}], {', '.join(options)})"
