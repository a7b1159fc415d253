"""Norms of vectors of any size."""

from __future__ import annotations

import numpy as np

from mlpgrad._core.arrays import Array


def norm(vector: Array) -> float:
    """The Euclidean norm, even if squares are beyond the range of float64."""
    largest = float(np.abs(vector).max(initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0 < largest < np.inf else largest


def rms(vector: Array) -> float:
    """The root mean square."""
    return norm(vector) / float(np.sqrt(len(vector) or 1))
