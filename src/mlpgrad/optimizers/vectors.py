"""Operations of update rules on flat vectors: blocks, averages, clipping, bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape, constant
from mlpgrad._core.recordable import recordable

BLOCK = 1 << 16  # elements: a rule's ten passes over a block stay in the cache


def approach(average: Array, values: Array, beta: float, out: Array) -> None:
    """`average <- beta average + (1 - beta) values`, working in `out` (may be `values`)."""
    np.subtract(values, average, out)
    np.multiply(out, constant(1 - beta, out.dtype), out)
    np.add(average, out, average)


@recordable
def clip_norm(grads: Array, bound: float, out: Array) -> None:
    """Write `g min(1, bound / |g|)` for each vector of `grads: (P,)` or `(E, P)` into `out`."""
    np.multiply(grads, _clip_factor(grads, bound), out)


def _clip_factor(grads: Array, bound: Any) -> Any:
    """`min(1, bound / |g|)`: a number, or `(E, 1)` for an ensemble."""
    with np.errstate(over="ignore"):  # squares of float32 overflow at 1e19, and are 0 below 1e-23
        if grads.ndim == 1:  # scalars are faster than arrays of one element
            norm = np.sqrt(grads.dot(grads))
            if 1e-15 < norm < 1e15:
                return bound / max(norm, bound)
        norm, largest = np.sqrt(np.vecdot(grads, grads))[..., None], 1.0
    if not ((norm > 1e-15) & (norm < 1e15)).all():
        largest = np.abs(grads).max(axis=-1, keepdims=True, initial=bound)
        relative = grads / largest
        norm = np.sqrt(np.vecdot(relative, relative))[..., None]
    bound = bound / largest
    return bound / np.maximum(norm, bound)


@recordable
def bound_columns(weights: Array, bound: Any) -> None:
    """`w_j <- w_j min(1, bound / |w_j|)` for each column of `weights: (..., in, out)`."""
    norms = np.sqrt(np.einsum("...io,...io->...o", weights, weights))[..., None, :]
    np.multiply(weights, bound / np.maximum(norms, bound), weights)


def blocks_of(shape: Shape, block: int, *, whole: bool) -> Iterator[tuple[slice, ...]]:
    """Return slices of at most a block, of the flat vector or of rows with their own rates."""
    rows, columns = (1, math.prod(shape)) if whole else shape
    at_once = max(1, block // max(columns, 1))
    for i in range(0, rows, at_once):
        for j in range(0, columns, block):
            part = slice(j, j + block)
            yield (part,) if whole else (slice(i, i + at_once), part)


def cut(vector: Array, part: tuple[slice, ...]) -> Array:
    """Return one part of a vector as a view."""
    return vector.reshape(-1)[part] if len(part) == 1 else vector[part]
