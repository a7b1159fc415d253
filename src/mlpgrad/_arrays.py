"""Fast forms of small-array arithmetic: the one place for tricks.

Every one of them is here because it was measured: see `benchmarks/`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Shape = tuple[int, ...]


@functools.cache
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


@functools.cache
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


def product(ndim: int) -> Any:
    """The matrix product `f(a, b, out)` for arrays of `ndim` axes.

    The method `dot` is twice as fast as `np.matmul` and, free of dispatch, as `np.dot`.
    """
    return np.ndarray.dot if ndim == 2 else np.matmul


def row(vectors: Array) -> Array:
    """`(..., N)` as `(..., 1, N)`, to be added to each row of a batch; a view."""
    return vectors[..., None, :]


def rows_buffer(z: Array) -> Array | None:
    """The buffer that `add_row` takes for `z`; None where plain broadcasting is faster."""
    return np.empty_like(z) if z.ndim == 2 and z.size <= 1024 else None


def add_row(z: Array, vector: Array, column: Array, rows: Array | None) -> None:
    """`z += vector: (..., 1, N)` in each of the rows of `z: (..., B, N)`.

    Broadcasting costs NumPy half a microsecond. A small array of rows is made faster by the
    product of `column`, ones `(B, 1)`, and the vector.
    """
    if rows is None:
        np.add(z, vector, z)
    else:
        np.dot(column, vector, rows)
        np.add(z, rows, z)


def sum_rows(rows: Array, weights: Array, out: Array) -> Array:
    """Write the weighted sum of each of `rows: (..., B, K)` into `out: (..., B)`; returns it.

    Contiguous arrays both: as one matrix, since `dot` has a fast form for those alone.
    """
    if rows.ndim > 2:
        rows.reshape(-1, rows.shape[-1]).dot(weights, out.reshape(-1))
        return out
    return rows.dot(weights, out)


def row_maxima(rows: Array, columns: Array | None, out: Array) -> None:
    """Write the largest number of each of `rows: (..., B, K)` into `out: (..., B, 1)`.

    A maximum along short rows costs 100 ns a row; along the columns of a transposed copy in the
    buffer `columns: (..., K, B)` it is vectorized. None where rows are long.
    """
    if columns is None:
        np.maximum.reduce(rows, -1, out=out, keepdims=True)
    else:
        np.copyto(columns, rows.mT)
        np.maximum.reduce(columns, -2, out=out.mT, keepdims=True)


def columns_buffer(shape: Shape, dtype: np.dtype[Any]) -> Array | None:
    """The buffer that `row_maxima` takes for rows of this shape."""
    return np.empty((*shape[:-2], shape[-1], shape[-2]), dtype) if shape[-1] <= 32 else None


class Views:
    """Named views into one of the model's flat arrays: `layer.params.weights[...] = w0`.

    Assigning an attribute is refused: it would leave the model's array as it was.
    """

    def __init__(self, **views: Array) -> None:
        self.__dict__.update(views)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"write into the array instead: .{name}[...] = value")

    def __getattr__(self, name: str) -> Array:
        from mlpgrad._describe import nearest

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
