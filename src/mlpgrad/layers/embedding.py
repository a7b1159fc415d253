"""The embedding layer: a vector of parameters for each category, looked up by its code."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from mlpgrad._core import arguments
from mlpgrad._core.arrays import Array, Shape, constant
from mlpgrad._core.options import ArrayName
from mlpgrad._core.recordable import recordable
from mlpgrad.initializers import Initializer
from mlpgrad.layers.base import Layer


class Embedding(Layer):
    """y = [the other features, V_1[c_1], V_2[c_2], ...]  for features c_j that are codes

    Row c of the matrix V_j is a vector of parameters for the category with code c. It replaces the
    code; features that are not codes are passed on in order, and come first. dL/dV_j[c] is the sum
    of the deltas of all samples with this code; dL/dc_j is 0. The layer is equivalent to one-hot
    features with a separate Dense layer for each code, but without multiplications by zero. Guo
    and Berkhahn 2016, "Entity embeddings of categorical variables".

    `mlpgrad.tables.Codes` encodes categories as codes. An invalid code is treated as 0, the code
    of categories that did not occur in training, whose vector is initially 0.

    Parameters
    ----------
    in_features : int
        Number of columns of the input.
    codes : dict of int to int
        The columns that are codes, and the number of codes of each: `encoder.codes()` of a table's
        encoder, or `{3: 40}` for codes from 0 to 39 in column 3.
    width : int, default 8
        Length of the vectors.
    initializer : Initializer, optional
        Draws the initial vectors, all in one array `(codes, width)`. By default they are normal
        with variance 1 / width, so that their length is about that of a standardized number.

    Attributes
    ----------
    params.vectors : array (..., sum of codes, width)
        The rows of V_1, V_2 ... concatenated.

    Raises
    ------
    ValueError
        If a column is not a column of the input, or a count is not an int >= 1; from the model, if
        its dtype cannot hold all codes.

    Examples
    --------
    >>> import mlpgrad as mg
    >>> model = mg.Sequential([mg.Embedding(2, {1: 3}, width=2)], loss=mg.MeanSquaredError())
    >>> model.layers[0].params.vectors[...] = [[0, 0], [1, -1], [5, 7]]
    >>> model.predict([[0.5, 2], [0.25, 1], [0.0, 99]])
    array([[ 0.5 ,  5.  ,  7.  ],
           [ 0.25,  1.  , -1.  ],
           [ 0.  ,  0.  ,  0.  ]], dtype=float32)
    """

    repeatable = True

    vectors = ArrayName("params")

    in_features: int
    out_features: int

    def __init__(
        self,
        in_features: int,
        codes: Mapping[int, int],
        width: int = 8,
        *,
        initializer: Initializer | None = None,
    ) -> None:
        self.in_features = arguments.count(in_features, "Embedding: in_features")
        self.codes = _checked(codes, self.in_features)
        self.width = arguments.count(width, "Embedding: width")
        if initializer is not None:
            arguments.instance(initializer, "Embedding: initializer", Initializer, "LeCunNormal()")
        self.initializer = initializer
        self.out_features = self.in_features + len(self.codes) * (self.width - 1)

    def parameters(self) -> dict[str, tuple[Shape, Initializer]]:
        counts = [*self.codes.values()]
        return {"vectors": ((sum(counts), self.width), _Vectors(self.initializer, counts))}

    def bind(self, *given: Any) -> None:
        super().bind(*given)
        exact, most = 2 << np.finfo(self.dtype).nmant, max(self.codes.values())
        if most > exact:
            raise ValueError(
                f"{self!r} has {most:,} codes, but {self.dtype} holds integers exactly only up to "
                f"{exact:,}, so that several codes would be one; make the model with a dtype of "
                "more digits, such as float64"
            )

    def allocate(self, shape: Shape) -> dict[str, Any]:
        columns, counts = [*self.codes], [*self.codes.values()]
        out, rows = self.empty(shape[-2], self.out_features), (*shape[:-1], len(columns))
        passed = self.in_features - len(columns)
        vectors = self.empty(shape[-2], len(columns), self.width)
        table, row = self.params.vectors, np.empty(rows, np.intp)
        delta = np.zeros((*out.shape[:-1], self.in_features), self.dtype)  # 0 for the codes
        real = np.finfo(self.dtype).dtype
        return {
            "_runs": _runs(columns, self.in_features),
            "_codes": np.empty(rows, real),
            "_known": np.empty(rows, bool),
            "_below": np.empty(rows, bool),
            "_counts": _constant(counts, real),
            "_starts": _constant(np.cumsum([0, *counts[:-1]])),
            "_rows": row,
            "_out": out,
            "_passed": out[..., :passed],
            "_takes": _of_each(table, row, vectors),
            "_vectors": vectors,
            "_looked_up": out[..., passed:].reshape(vectors.shape),
            "_width": _constant(self.width),
            "_firsts": _constant(_first_places(table, self.width)),
            "_places": np.empty(vectors.shape, np.intp),
            "_deltas": np.empty(vectors.shape, np.result_type(self.dtype, np.float64)),
            "_sums": self.grads.vectors,
            "_input_delta": delta if self.wants_input_delta else None,
        }

    def forward(self, x: Array) -> Array:
        if x.shape != self._shape:
            self.resize(x.shape)
        for there, here in self._runs:
            self._passed[..., here] = x[..., there]
        self._find_rows(x)
        for table, rows, vectors in self._takes:
            table.take(rows, 0, vectors, "clip")
        self._looked_up[...] = self._vectors
        return self._out  # type: ignore[no-any-return]

    def _find_rows(self, x: Array) -> None:
        """Write the row of `vectors` for each code; invalid codes have that of code 0."""
        codes, rows, known, below = self._codes, self._rows, self._known, self._below
        for place, column in enumerate(self.codes):
            codes[..., place] = x[..., column].real
        np.rint(codes, codes)
        np.greater_equal(codes, constant(0, codes.dtype), known)
        np.less(codes, self._counts, below)
        np.logical_and(known, below, known)
        np.multiply(codes, known, codes)
        np.copyto(rows, codes, "unsafe")
        np.add(rows, self._starts, rows)

    def backward(self, delta: Array) -> Array | None:
        passed = self.in_features - len(self.codes)
        self._deltas[...] = delta[..., passed:].reshape(self._deltas.shape)
        np.multiply(self._rows[..., None], self._width, self._places)
        np.add(self._places, self._firsts, self._places)
        sum_by_place(self._deltas, self._places, self._sums)
        out = self._input_delta
        if out is not None:
            for there, here in self._runs:
                out[..., there] = delta[..., here]
        return out  # type: ignore[no-any-return]

    @classmethod
    def example(cls) -> Self:
        return cls(5, {1: 3, 4: 2}, 2)


class _Vectors(Initializer):
    """Initial vectors: drawn at random, except the first of each column, which is 0."""

    def __init__(self, initializer: Initializer | None, counts: list[int]) -> None:
        self.initializer, self.counts = initializer, counts

    def __call__(self, rng: np.random.Generator, shape: Shape) -> Array:
        if self.initializer is None:
            drawn = rng.normal(0, 1 / math.sqrt(shape[-1]), shape)
        else:
            drawn = np.array(self.initializer(rng, shape))
        drawn[np.cumsum([0, *self.counts[:-1]])] = 0
        return drawn


@recordable
def sum_by_place(values: Array, places: Array, out: Array) -> None:
    """Write to each element of the flat `out` the sum of the values with its index."""
    index, flat = places.reshape(-1), values.reshape(-1)
    if flat.dtype.kind == "c":
        sums = np.bincount(index, flat.real, out.size) + 1j * np.bincount(
            index, flat.imag, out.size
        )
    elif flat.dtype == np.float64:
        sums = np.bincount(index, flat, out.size)
    else:  # longdouble
        sums = np.zeros(out.size, flat.dtype)
        np.add.at(sums, index, flat)
    out[...] = sums.reshape(out.shape)


def _runs(columns: list[int], in_features: int) -> list[tuple[slice, slice]]:
    """Return the slices of the features between the codes, in the input and in the output."""
    bounds = [-1, *columns, in_features]
    between = [slice(a + 1, b) for a, b in itertools.pairwise(bounds)]
    runs = [(run, slice(run.start - i, run.stop - i)) for i, run in enumerate(between)]
    return [(there, here) for there, here in runs if there.stop > there.start]


def _of_each(table: Array, rows: Array, vectors: Array) -> list[tuple[Array, Array, Array]]:
    """Yield the arrays of each network; networks may share the rows."""
    if table.ndim == 2:
        return [(table, rows, vectors)]
    each = [rows] * len(table) if rows.ndim == 2 else [*rows]
    return list(zip(table, each, vectors, strict=True))


def _first_places(table: Array, width: int) -> Array:
    """Return the indices of the first vector in a flat array, `(width,)` or `(E, 1, 1, width)`."""
    first = np.arange(width)
    if table.ndim == 2:
        return first
    places: Array = np.arange(len(table)).reshape(-1, 1, 1, 1) * table[0].size + first
    return places


def _constant(numbers: Any, dtype: Any = np.intp) -> Array:
    """Return a read-only array, which a recorded step treats as a constant."""
    array = np.array(numbers, dtype)
    array.flags.writeable = False
    return array


def _checked(codes: Any, in_features: int) -> dict[int, int]:
    """Check and return the columns that are codes, in order, with their counts."""
    if not isinstance(codes, Mapping) or not codes:
        raise TypeError(
            f"Embedding: codes expects a dict of columns and numbers of codes such as {{3: 40}}, "
            f"got {arguments.shown(codes)}; for a table use encoder.codes()"
        )
    columns = [
        arguments.count(column, "Embedding: a column of codes", 0, in_features - 1)
        for column in codes
    ]
    counts = [arguments.count(n, f"Embedding: codes[{c}]") for c, n in codes.items()]
    return dict(sorted(zip(columns, counts, strict=True)))
