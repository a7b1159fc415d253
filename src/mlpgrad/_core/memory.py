"""Where arrays lie in memory."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, Shape

LINE = 64
"""Bytes of a cache line, and of the longest vectors."""


def aligned(shape: Shape, dtype: Any, strides: Shape | None = None) -> Array:
    """Return zeros that begin with a cache line, so that no vector of them lies in two lines.

    Strides, if they are given, are those of another array that owns its memory.

    Examples
    --------
    >>> address(aligned((3, 2), "float32")) % 64
    0
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    room = np.zeros(size + LINE, np.uint8)
    # no view of an array, so that `owner` finds itself, although its flags say otherwise
    own: Any = (ctypes.c_char * size).from_buffer(room.data, -address(room) % LINE)
    return np.ndarray(shape, dtype, own, strides=strides)


def aligned_copy(array: Array) -> Array:
    """Return a copy with the same strides, of an array that owns its memory."""
    copy = aligned(array.shape, array.dtype, array.strides)
    copy[...] = array
    return copy


def address(array: Array) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def addresses(array: Array, count: int, *, shared: bool = False) -> Array:
    """Return the addresses of the first `count` parts along axis 0, or of all that they share."""
    return address(array) + np.arange(count) * (0 if shared else array.strides[0])


def owner(array: Array) -> Array:
    """Return the array that owns the memory of a view."""
    # recorded views refuse other access to their attributes
    while isinstance(base := object.__getattribute__(array, "base"), np.ndarray):
        array = base
    return array


def view_in(copy: Array, array: Array) -> Array:
    """Return the part of a copy of an array's owner that corresponds to the array."""
    offset = address(array) - address(owner(array))
    return np.ndarray(array.shape, array.dtype, copy, offset, array.strides)
