"""Fast forms of small-array arithmetic: the one place for tricks.

Every one of them is here because it was measured: see `benchmarks/`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


@functools.lru_cache(maxsize=256)
def constant(value: float, dtype: np.dtype[Any]) -> Array:
    """`value` as a 0-d array: a Python number would be converted anew at every call (400 ns).

    Examples
    --------
    >>> constant(0.5, np.dtype("float32")).dtype
    dtype('float32')
    """
    array = np.array(value, dtype)
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=64)
def ones(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A read-only array of ones: a dot product with it sums faster than `np.sum` (300 ns)."""
    array = np.ones(shape, dtype)
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=64)
def zeros(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A read-only array of zeros: `maximum` with an array is vectorized, with a number it is not.

    A third of the time for 2,000 numbers and more. Large ones take no memory before they are
    written to, which they never are.
    """
    array = np.zeros(shape, dtype)
    array.flags.writeable = False
    return array


def is_positive(z: Array, out: Array, flags: Array) -> None:
    """Write 1 where z > 0, else 0; `flags` is a buffer of bool.

    Straight into an array of numbers it would take half as long again: NumPy would convert the
    answers in small pieces. The real part decides: five times as fast for complex numbers.
    """
    real = z.real
    np.greater(real, constant(0, real.dtype), flags)
    np.copyto(out, flags)


def product(ndim: int, dtype: np.dtype[Any] | None = None) -> Any:
    """The matrix product `f(a, b, out)` for arrays of `ndim` axes, and of this dtype.

    The method `dot` is twice as fast as `np.matmul` and, free of dispatch, as `np.dot`.
    """
    multiply = np.ndarray.dot if ndim == 2 else np.matmul
    if dtype is not None and dtype.kind == "c":
        return functools.partial(_complex_product, multiply)
    return multiply


_ONE, _ANY = np.ones(1), np.ones(1)


def _complex_product(multiply: Any, a: Array, b: Array, out: Array) -> Array:
    """The product of complex matrices, after which other functions are as fast as before.

    OpenBLAS leaves the upper halves of the vector registers in use, in which state the complex
    `tanh` or `exp` of the C library take fifteen times as long. A real `exp` of NumPy resets it.
    """
    multiply(a, b, out)
    np.exp(_ONE, _ANY)
    return out


def row(vectors: Array) -> Array:
    """`(..., N)` as `(..., 1, N)`, to be added to each row of a batch; a view."""
    return vectors[..., None, :]


def fitting(buffer: Array, array: Array) -> Array:
    """The buffer `(E, ...)`, or one network's part of it where the ensemble shares the array."""
    return buffer if buffer.ndim == array.ndim else buffer[0]


SPREAD = 1 << 13  # numbers: larger arrays are broadcast as fast as they are copied


def spread_buffer(shape: Shape, dtype: np.dtype[Any]) -> Array | None:
    """The buffer that `spread` takes for this shape; None where broadcasting is as fast."""
    return np.empty(shape, dtype) if math.prod(shape) <= SPREAD else None


def spread(vector: Array, buffer: Array | None) -> Array:
    """A row or column, repeated to the buffer's shape: `np.add(z, spread(row, buffer), z)`.

    Broadcasting in a ufunc costs NumPy 0.7 us more than arrays of one shape, a copy 0.2 us.
    """
    if buffer is None:
        return vector
    buffer[...] = vector
    return buffer


def with_ones(shape: Shape, dtype: np.dtype[Any]) -> Array | None:
    """Room for rows `(B, I)` with a one behind each: `(B, I + 1)`.

    A product with those adds a bias as well, and sums its gradient: two calls fewer, a tenth of
    the step of a small network. None where copying the rows costs more.
    """
    if math.prod(shape) > SPREAD:
        return None
    return np.ones((*shape[:-1], shape[-1] + 1), dtype)


def sum_rows(rows: Array, weights: Array, out: Array) -> Array:
    """Write the weighted sum of each of `rows: (..., B, K)` into `out: (..., B)`; returns it.

    Contiguous arrays both: as one matrix, since `dot` has a fast form for those alone.
    """
    if rows.ndim > 2:
        rows.reshape(-1, rows.shape[-1]).dot(weights, out.reshape(-1))
        return out
    return rows.dot(weights, out)


LONG = 1 << 14  # rows: sums over a longer batch are made in double precision
BLOCK = 1 << 17  # numbers converted to double precision together, a megabyte


def summing_dtype(dtype: np.dtype[Any], rows: int) -> np.dtype[Any] | None:
    """The dtype for sums over so many rows; None where their own dtype is good enough.

    A sum of equal float32 numbers by one dot product is off by 1e-4 after a million rows.
    """
    double = np.result_type(dtype, np.float64)
    return double if rows > LONG and double != dtype else None


def block_buffers(left: Shape, right: Shape, dtype: np.dtype[Any]) -> dict[str, Array] | None:
    """What `sum_products` needs for arrays of these shapes; None where it is not to be used."""
    double = summing_dtype(dtype, right[-2])
    if double is None:
        return None
    width = (math.prod(left) + math.prod(right)) // right[-2] + 1
    rows = min(max(BLOCK // width, 256), right[-2])
    lefts = np.ones((*left[:-2], rows, left[-1] + 1), double)
    rights = np.empty((*right[:-2], rows, right[-1]), double)
    sums = (*right[:-2], left[-1] + 1, right[-1])
    part, total = np.empty(sums, double), np.empty(sums, double)
    return {"lefts": lefts, "rights": rights, "part": part, "total": total}


def sum_products(left: Array, right: Array, buffers: dict[str, Array]) -> Array:
    """Sums over a long batch in double precision: of `left_i right_k`, and of `right_k` alone.

    Parameters
    ----------
    left : array (..., B, I)
        I may be 0. Without the ensemble axis, all members share it.
    right : array (..., B, K)
    buffers : dict
        As made by `block_buffers`.

    Returns
    -------
    array (..., I + 1, K)
        `left^T right`, and below it the row of the sums of `right`. Borrowed: the next call
        overwrites it.
    """
    lefts, rights, part, total = buffers.values()
    rows = rights.shape[-2]
    multiply = product(max(left.ndim, right.ndim))
    total.fill(0)
    for start in range(0, right.shape[-2], rows):
        block = right[..., start : start + rows, :]
        size = block.shape[-2]
        with_ones, doubled = lefts[..., :size, :], rights[..., :size, :]
        np.copyto(with_ones[..., :-1], left[..., start : start + rows, :])
        np.copyto(doubled, block)
        multiply(with_ones.mT, doubled, part)
        np.add(total, part, total)
    return total


def row_maxima(rows: Array, starts: Array, places: Array, out: Array) -> None:
    """Write the largest number of each of `rows: (..., B, K)` into `out: (..., B, 1)`.

    By their places in the flat array, with the buffers of `maxima_buffers`: `argmax` has a fast
    form for short rows, and `maximum.reduce` does not.
    """
    rows.argmax(-1, places, keepdims=True)
    np.add(places, starts, places)
    rows.take(places, None, out, "clip")


def maxima_buffers(shape: Shape) -> dict[str, Array]:
    """What `row_maxima` needs for rows of this shape: where each begins, and room for places."""
    starts = np.arange(0, math.prod(shape), shape[-1]).reshape(*shape[:-1], 1)
    return {"_starts": starts, "_places": np.empty_like(starts)}


class Views:
    """Named views into one of the model's flat arrays: `layer.params.weights[...] = w0`.

    Assigning another array is refused: it would leave the model's as it was. `grads.weights += g`
    works in place and ends by assigning the same array, which is allowed.
    """

    __slots__ = ("__dict__", "_flat")

    _flat: Array
    """All of them, one after the other: `(..., p)`."""

    def __init__(self, flat: Array | None = None, /, **views: Array) -> None:
        object.__setattr__(self, "_flat", flat)
        self.__dict__.update(views)

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not self.__dict__.get(name, self):
            raise AttributeError(f"write into the array instead: .{name}[...] = value")

    def __getattr__(self, name: str) -> Array:
        from mlpgrad._core.described import nearest

        raise AttributeError(f"no array {name!r}{nearest(name, self.__dict__)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __getitem__(self, name: str) -> Array:
        return self.__dict__[name]  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.__dict__)

    def items(self) -> list[tuple[str, Array]]:
        """Names and views, in order."""
        return list(self.__dict__.items())

    def __repr__(self) -> str:
        return f"Views({', '.join(f'{name} {view.shape}' for name, view in self.items())})"
