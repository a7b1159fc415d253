"""The forward pass of predictions: thread-safe, with a bounded number of rows at once."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array
from mlpgrad._core.changes import frozen, same
from mlpgrad._core.options import assignments
from mlpgrad.layers.base import Layer
from mlpgrad.layers.chain import walk

ROWS_AT_ONCE = 1024  # bounds the memory, not the result

BOUND = {"params", "grads", "state", "dtype", "wants_input_delta", "training"}
"""Public attributes of a layer on which its twin for predictions does not depend."""

_MISSING = object()


class Prediction:
    """The layers in prediction mode, as a function of a checked array.

    Each thread has twins of the layers, with the same parameters but their own buffers. They are
    made again if an option, another public attribute or a method has been assigned.
    """

    def __init__(self, layers: Sequence[Layer], dtype: np.dtype[Any]) -> None:
        self.layers, self.dtype = layers, dtype
        self._threads = threading.local()

    def __call__(self, x: Array) -> Array:
        """Return the output for `x: (..., B, I)` as a new array."""
        # an overflow shows in the result, and OpenBLAS sometimes sets flags on finite numbers
        with np.errstate(all="ignore"):
            if x.shape[-2] <= ROWS_AT_ONCE:
                return self._forward(self.twins(), x).copy()
            return self._in_parts(x)

    def _in_parts(self, x: Array) -> Array:
        """Return the output for many rows, computed in parts to bound the memory."""
        samples, twins = x.shape[-2], self.twins()
        parts = (x[..., i : i + ROWS_AT_ONCE, :] for i in range(0, samples, ROWS_AT_ONCE))
        first = self._forward(twins, next(parts))
        out = np.empty((*first.shape[:-2], samples, first.shape[-1]), first.dtype)
        out[..., :ROWS_AT_ONCE, :] = first
        for number, part in enumerate(parts, start=1):
            rows = slice(number * ROWS_AT_ONCE, (number + 1) * ROWS_AT_ONCE)
            out[..., rows, :] = self._forward(twins, part)
        return out

    def _forward(self, twins: Sequence[Layer], x: Array) -> Array:
        """Return the output in a buffer that the next call overwrites."""
        x = x.astype(self.dtype, copy=False)
        for layer in twins:  # `run_forward` would keep inputs and outputs, which are not needed
            x = layer.forward(x)
        return x

    def twins(self) -> Sequence[Layer]:
        """Return the twins of this thread for the current layers of the model."""
        twins: Twins | None = getattr(self._threads, "twins", None)
        if twins is None or twins.are_old():
            twins = self._threads.twins = Twins(self.layers)
        return twins.layers


class Twins:
    """Readers of some layers, and the state of these layers."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._count = assignments.count
        self._owns = [vars(layer) for _, layer in walk(layers)]
        self._sizes = [*map(len, self._owns)]
        self._public = [_public(own) for own in self._owns]
        self._others = []  # not options, so their assignment is not announced
        for (_, layer), own, public in zip(walk(layers), self._owns, self._public, strict=True):
            names = public.keys() - layer._options
            self._others += [(own, name, public[name]) for name in names]
        values = [value for public in self._public for value in public.values()]
        self._mutable = [(value, frozen(value)) for value in values if _can_change(value)]
        self.layers = [layer.reader() for layer in layers]

    def are_old(self) -> bool:
        """Return whether a public attribute of a layer has changed; must be fast."""
        if assignments.count != self._count or [*map(len, self._owns)] != self._sizes:
            return self._differ()
        for own, name, value in self._others:
            if own.get(name, _MISSING) is not value:
                return True
        return bool(self._mutable) and self._holds_other()

    def _differ(self) -> bool:
        """Return whether a public attribute differs."""
        self._count, self._sizes = assignments.count, [*map(len, self._owns)]
        pairs = list(zip(map(_public, self._owns), self._public, strict=True))
        return any(
            now.keys() != before.keys() or any(now[name] is not before[name] for name in now)
            for now, before in pairs
        )

    def _holds_other(self) -> bool:
        """Return whether a list, dict or writeable array has been changed in place."""
        return any(not same(value, before) for value, before in self._mutable)


def _public(own: dict[str, Any]) -> dict[str, Any]:
    """Return the public attributes of a layer."""
    kept = own.copy()  # another thread may add buffers
    return {k: v for k, v in kept.items() if not k.startswith("_") and k not in BOUND}


def _can_change(value: Any) -> bool:
    """Return whether a value can be changed in place, and compared."""
    if isinstance(value, np.ndarray):
        return bool(value.flags.writeable)
    return isinstance(value, (list, dict))
