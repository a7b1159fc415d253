"""Fast forms of small-array arithmetic, the only place for such tricks.

Each of them was measured: see `benchmarks/`.
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
    """Return `value` as a 0-d array; a Python number is converted at every call (400 ns).

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
    """Return a read-only array of ones; a dot product with it is faster than `np.sum` (300 ns)."""
    array = np.ones(shape, dtype)
    array.flags.writeable = False
    return array


@functools.lru_cache(maxsize=64)
def zeros(shape: Shape, dtype: np.dtype[Any]) -> Array:
    """Return a read-only array of zeros; `maximum` is vectorized for arrays, not for a scalar.

    This takes a third of the time for 2,000 numbers and more. Large arrays take no memory, since
    they are never written to.
    """
    array = np.zeros(shape, dtype)
    array.flags.writeable = False
    return array


def is_positive(z: Array, out: Array, flags: Array) -> None:
    """Write 1 where z > 0, else 0; `flags` is a buffer of bool.

    Writing directly into an array of numbers would take 1.5 times as long, since NumPy would
    convert the result in small pieces. For complex numbers only the real part is compared, which
    is five times as fast.
    """
    real = z.real
    np.greater(real, constant(0, real.dtype), flags)
    np.copyto(out, flags)


def product(ndim: int, dtype: np.dtype[Any] | None = None) -> Any:
    """Return the matrix product `f(a, b, out)` for arrays of `ndim` axes and this dtype.

    The method `dot` is twice as fast as `np.matmul`, and as `np.dot` with its dispatch.
    """
    multiply = np.ndarray.dot if ndim == 2 else np.matmul
    if dtype is not None and dtype.kind == "c":
        return functools.partial(_complex_product, multiply)
    return multiply


_ONE, _ANY = np.ones(1), np.ones(1)


def _complex_product(multiply: Any, a: Array, b: Array, out: Array) -> Array:
    """Complex matrix product that does not slow down later functions.

    OpenBLAS leaves the upper halves of the vector registers in use, which makes the complex `tanh`
    or `exp` of the C library fifteen times slower. A real `exp` of NumPy resets them.
    """
    multiply(a, b, out)
    np.exp(_ONE, _ANY)
    return out


def row(vectors: Array) -> Array:
    """Return a view of `(..., N)` as `(..., 1, N)`, to be added to each row of a batch."""
    return vectors[..., None, :]


def read_only(array: Array) -> Array:
    """Return the array, or a view of it that nobody can write to."""
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def fitting(buffer: Array, array: Array) -> Array:
    """Return the buffer `(E, ...)`, or one network's part if the ensemble shares the array."""
    return buffer if buffer.ndim == array.ndim else buffer[0]


def part_of(members: slice | int | Array, array: Any) -> Any:
    """Return the part of an array or None for members of an ensemble; all of it if shared."""
    return array[members] if np.ndim(array) == 3 else array


def weighted(values: Array, weights: Array) -> Array:
    """Return `values * weights`, and 0 where a weight is 0, even if the value is not finite."""
    products = np.zeros(np.broadcast_shapes(values.shape, weights.shape))
    return np.multiply(values, weights, out=products, where=weights != 0)


def counting(weights: Array | None, *arrays: Array) -> tuple[Any, ...]:
    """Return the rows of arrays that have a weight in any network, and these weights.

    Rows of weight 0 may hold any values, whose squares may overflow.

    Parameters
    ----------
    weights : array (..., n, 1) or None
    *arrays : array (..., n, F)
    """
    if weights is None or weights.all():
        return *arrays, weights
    rows = weights.any(axis=(*range(weights.ndim - 2), -1))
    return tuple(array[..., rows, :] for array in (*arrays, weights))


SPREAD = 1 << 13  # numbers; larger arrays are broadcast as fast as they are copied


def spread_buffer(shape: Shape, dtype: np.dtype[Any]) -> Array | None:
    """Return the buffer for `spread` for this shape; None if broadcasting is as fast."""
    return np.empty(shape, dtype) if math.prod(shape) <= SPREAD else None


def spread(vector: Array, buffer: Array | None) -> Array:
    """Return a row or column repeated to the buffer's shape: `np.add(z, spread(row, buffer), z)`.

    Broadcasting in a ufunc takes 0.7 us longer than arrays of equal shape, a copy 0.2 us.
    """
    if buffer is None:
        return vector
    buffer[...] = vector
    return buffer


def with_ones(shape: Shape, dtype: np.dtype[Any]) -> Array | None:
    """Return a buffer for rows `(B, I)` followed by a 1: `(B, I + 1)`.

    A product with these rows also adds the bias, or sums its gradient, which saves two calls, a
    tenth of the step of a small network. None if copying the rows costs more.
    """
    if math.prod(shape) > SPREAD:
        return None
    return np.ones((*shape[:-1], shape[-1] + 1), dtype)


def sum_rows(rows: Array, weights: Array, out: Array) -> Array:
    """Write the weighted sum of each of `rows: (..., B, K)` to `out: (..., B)`, and return it.

    Contiguous arrays are treated as one matrix, since `dot` has a fast form only for these.
    """
    if rows.ndim > 2:
        rows.reshape(-1, rows.shape[-1]).dot(weights, out.reshape(-1))
        return out
    return rows.dot(weights, out)


LONG = 1 << 14  # rows; sums over a longer batch are computed in double precision
BLOCK = 1 << 17  # numbers converted to double precision together, a megabyte


def summing_dtype(dtype: np.dtype[Any], rows: int) -> np.dtype[Any] | None:
    """Return the dtype for sums over this many rows; None if their own dtype suffices.

    A sum of equal float32 numbers in one dot product has an error of 1e-4 after a million rows.
    """
    double = np.result_type(dtype, np.float64)
    return double if rows > LONG and double != dtype else None


def block_buffers(left: Shape, right: Shape, dtype: np.dtype[Any]) -> dict[str, Array] | None:
    """Return the buffers of `sum_products` for these shapes; None if it should not be used."""
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
    """Compute sums over a long batch in double precision, of `left_i right_k` and of `right_k`.

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
    """Write the largest number of each of `rows: (..., B, K)` to `out: (..., B, 1)`.

    It uses their indices in the flat array, with the buffers of `maxima_buffers`, since `argmax`
    has a fast form for short rows but `maximum.reduce` has not.
    """
    rows.argmax(-1, places, keepdims=True)
    np.add(places, starts, places)
    rows.take(places, None, out, "clip")


def maxima_buffers(shape: Shape) -> dict[str, Array]:
    """Return the buffers of `row_maxima` for this shape: start indices, and room for indices."""
    starts = np.arange(0, math.prod(shape), shape[-1]).reshape(*shape[:-1], 1)
    return {"_starts": starts, "_places": np.empty_like(starts)}


class Views:
    """Named views into one of the model's flat arrays: `layer.params.weights[...] = w0`.

    Assigning another array is refused, since it would not change the model's array.
    `grads.weights += g` works in place and ends by assigning the same array, which is allowed.
    """

    __slots__ = ("__dict__", "_flat")

    _flat: Array
    """All arrays, concatenated: `(..., p)`."""

    def __init__(self, flat: Array | None = None, /, **views: Array) -> None:
        object.__setattr__(self, "_flat", flat)
        self.__dict__.update(views)

    def __setattr__(self, name: str, value: Any) -> None:
        if value is not self.__dict__.get(name, self):
            raise AttributeError(f"write into the array instead: .{name}[...] = value")

    def __getattr__(self, name: str) -> Array:
        if name.startswith("__"):  # Python asks for those itself
            raise AttributeError(name)
        from mlpgrad._core.advice import nearest

        raise AttributeError(f"no array {name!r}{nearest(name, self.__dict__)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self.__dict__)

    def __getitem__(self, name: str) -> Array:
        return self.__dict__[name]  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return len(self.__dict__)

    def items(self) -> list[tuple[str, Array]]:
        """Return names and views, in order."""
        return list(self.__dict__.items())

    def __repr__(self) -> str:
        return f"Views({', '.join(f'{name} {view.shape}' for name, view in self.items())})"
