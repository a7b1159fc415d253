"""Compiled products, sums and gathers agree with NumPy for every shape and layout."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")

from scipy.linalg import cython_blas

import mlpgrad as mg
from mlpgrad.optimizers import vectors
from mlpgrad.training.compiled import blas as blas_of
from mlpgrad.training.compiled import products
from mlpgrad.training.compiled.blas import Blas
from mlpgrad.training.compiled.operands import NotCoveredError, Reader
from mlpgrad.training.tape import Call
from tests.training.compiled.running import compiled

sizes = st.integers(1, 37)
dtypes = st.sampled_from([np.float32, np.float64])
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=25)


def drawn(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


def assert_close(pairs, dtype, size=1.0):
    for by_numpy, ours in pairs:
        if by_numpy.dtype == dtype:
            bound = 64 * np.finfo(dtype).eps * size
            np.testing.assert_allclose(ours, by_numpy, rtol=bound, atol=bound)
        else:
            np.testing.assert_array_equal(ours, by_numpy)


@few
@given(m=sizes, k=sizes, n=sizes, dtype=dtypes, seed=seeds, turned=st.sampled_from("naby"))
def test_products_of_matrices(m, k, n, dtype, seed, turned):
    rng = np.random.default_rng(seed)
    a = drawn(rng, dtype, k, m).T if turned in "ay" else drawn(rng, dtype, m, k)
    b = drawn(rng, dtype, n, k).T if turned in "by" else drawn(rng, dtype, k, n)
    out = np.empty((m, n), dtype)
    assert_close(compiled(lambda a, b, out: a.dot(b, out), a, b, out), dtype, k)


@few
@given(k=sizes, n=sizes, dtype=dtypes, seed=seeds)
def test_products_with_vectors_and_ones(k, n, dtype, seed):
    rng = np.random.default_rng(seed)
    a, v, w = drawn(rng, dtype, n, k), drawn(rng, dtype, k), drawn(rng, dtype, n)
    ones = np.ones((1, n), dtype)
    ones.flags.writeable = False
    outs = [np.empty(shape, dtype) for shape in ((n,), (k,), (1, k), (n,), (1, k))]

    def write(a, v, w, p, q, r, s, t):
        a.dot(v, p)
        w.dot(a, q)
        np.dot(ones, a, r)
        np.add.reduce(a, axis=-1, out=s)
        np.add.reduce(a, axis=-2, keepdims=True, out=t)

    assert_close(compiled(write, a, v, w, *outs), dtype, max(k, n))


@few
@given(m=sizes, k=sizes, dtype=dtypes, seed=seeds)
def test_scalar_products_of_rows(m, k, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = drawn(rng, dtype, m, k), drawn(rng, dtype, m, k)
    out = np.empty(m, dtype)
    pairs = compiled(lambda a, b, out: np.vecdot(a, b, out), a, b, out)
    assert_close(pairs, dtype, k)


@few
@given(lead=st.integers(1, 3), m=sizes, k=sizes, dtype=dtypes, seed=seeds)
def test_products_with_leading_axes(lead, m, k, dtype, seed):
    rng = np.random.default_rng(seed)
    a, b = drawn(rng, dtype, lead, m, k), drawn(rng, dtype, lead, k, 5)
    out = np.empty((lead, m, 5), dtype)
    assert_close(compiled(lambda a, b, out: np.matmul(a, b, out), a, b, out), dtype, k)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("find", [Blas.of_numpy, Blas.of_scipy])
@pytest.mark.parametrize("turned", ["n", "a", "b", "y"])
def test_large_products_by_blas(dtype, find, turned, monkeypatch):
    monkeypatch.setattr(products, "BLAS_FROM", 1)
    blas = find()
    if blas is None:
        pytest.skip(f"{find.__name__} finds no gemm here")
    rng = np.random.default_rng(0)
    a = drawn(rng, dtype, 23, 19).T if turned in "ay" else drawn(rng, dtype, 19, 23)
    b = drawn(rng, dtype, 31, 23).T if turned in "by" else drawn(rng, dtype, 23, 31)
    out = np.empty((19, 31), dtype)
    pairs = compiled(lambda a, b, out: a.dot(b, out), a, b, out, blas=blas)
    assert_close(pairs, dtype, 23)


def fails(error):
    def call(*_):
        raise error

    return call


NUMPY_LACKS = {
    "no library": lambda patch: patch.setattr(blas_of.Path, "glob", lambda *_: []),
    "not loaded": lambda patch: patch.setattr(blas_of.ctypes, "CDLL", fails(OSError())),
    "no symbol": lambda patch: patch.setattr(blas_of, "NAMES", {"f4": "none", "f8": "none"}),
}


def without_module(patch):
    patch.delattr(scipy.linalg, "cython_blas")
    patch.setitem(sys.modules, "scipy.linalg.cython_blas", None)


SCIPY_LACKS = {
    "no module": without_module,
    "no table": lambda patch: patch.delattr(cython_blas, "__pyx_capi__"),
    "no symbol": lambda patch: patch.setattr(blas_of, "NAMES", {"f4": "none", "f8": "none"}),
    "no capsule": lambda patch: patch.setattr(blas_of, "_pointer", fails(ValueError())),
}


@pytest.mark.parametrize("lacks", NUMPY_LACKS)
def test_gemm_is_scipys_where_numpy_lacks_it(lacks, monkeypatch):
    NUMPY_LACKS[lacks](monkeypatch)
    assert Blas.of_numpy() is None
    if lacks != "no symbol":  # SciPy's has the same names
        assert Blas.found().integer == "i32"


@pytest.mark.parametrize("lacks", SCIPY_LACKS)
def test_our_kernels_compute_large_products_where_neither_has_gemm(lacks, monkeypatch):
    NUMPY_LACKS["no library"](monkeypatch)
    SCIPY_LACKS[lacks](monkeypatch)
    monkeypatch.setattr(products, "BLAS_FROM", 1)
    assert Blas.found() is None
    x, y = mg.datasets.moons(64, random_state=0)
    found = []
    for compiles in (True, False):
        layers = [mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)]
        model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)
        model.fit(x, y, optimizer=mg.Adam(), epochs=2, verbose=0, compiled=compiles)
        found.append(model)
    assert found[0].compiled_because is None
    np.testing.assert_allclose(found[0].params, found[1].params, rtol=1e-4, atol=1e-6)


@few
@given(rows=sizes, columns=st.integers(1, 64), dtype=dtypes, seed=seeds)
def test_the_largest_of_each_row_and_rows_by_their_numbers(rows, columns, dtype, seed):
    rng = np.random.default_rng(seed)
    x, table = drawn(rng, dtype, rows, columns).round(1), drawn(rng, dtype, 7, columns)
    numbers = rng.integers(-2, 9, rows)
    places, top = np.empty((rows, 1), np.int64), np.empty((rows, columns), dtype)

    def write(x, table, numbers, places, top):
        x.argmax(-1, places, keepdims=True)
        table.take(numbers, 0, top, "clip")

    for by_numpy, ours in compiled(write, x, table, numbers, places, top):
        np.testing.assert_array_equal(by_numpy, ours)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e25, 0.0])
def test_norms_are_bounded(dtype, scale):
    rng = np.random.default_rng(0)
    grads = (drawn(rng, dtype, 37) * dtype(scale)).astype(dtype)
    weights, out = drawn(rng, dtype, 6, 11), np.empty(37, dtype)

    def write(grads, out, weights):
        vectors.clip_norm(grads, 0.7, out)
        vectors.bound_columns(weights, 0.9)

    pairs = compiled(write, grads, out, weights)
    for by_numpy, ours in pairs:
        np.testing.assert_allclose(ours, by_numpy, rtol=64 * np.finfo(dtype).eps)


def test_a_gradient_whose_square_overflows_is_clipped():
    grads = np.full(5, 1e200)
    out = np.empty(5)
    ((_, _), (by_numpy, ours)) = compiled(lambda g, o: vectors.clip_norm(g, 1.0, o), grads, out)
    np.testing.assert_allclose(ours, by_numpy, rtol=1e-12)
    np.testing.assert_allclose(ours, 5**-0.5, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_random_numbers_are_those_of_numpy_bit_for_bit(dtype):
    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    out = np.empty((7, 5), dtype)

    from mlpgrad.training.tape import RecordedGenerator

    def write(out):
        RecordedGenerator(out.tape, rng).random(None, dtype, out)

    ((by_numpy, ours),) = compiled(write, out)
    np.testing.assert_array_equal(by_numpy, again.random(dtype=dtype, size=(7, 5)))
    np.testing.assert_array_equal(ours, again.random(dtype=dtype, size=(7, 5)))
    assert rng.bit_generator.state == again.bit_generator.state


def test_a_bit_generator_without_pointers_is_refused():
    generator, out = SimpleNamespace(bit_generator=object()), np.empty(3)
    call = Call("random", np.random.Generator.random, (generator, None, np.float64), out, {})
    with pytest.raises(NotCoveredError, match="without pointers"):
        Reader()._random(call)


# every range of bytes is within its buffer


def negated(x, y):
    np.negative(x, y)


@pytest.mark.parametrize("part", ["strided", "longer"])
def test_an_array_beyond_its_buffer_is_refused(part):
    x = np.zeros(10)
    first = np.lib.stride_tricks.as_strided(x, (2,), (8,))  # its base is not x
    array = x[5:7] if part == "longer" else np.lib.stride_tricks.as_strided(x[4:], (2,), (16,))
    with pytest.raises(NotCoveredError, match="an array outside its buffer"):
        compiled(negated, first, array)


def test_buffers_that_share_memory_are_refused():
    x = np.zeros(10)
    again = np.lib.stride_tricks.as_strided(x[1:], (5,), (8,))
    with pytest.raises(NotCoveredError, match="two buffers that share memory"):
        compiled(negated, x[5:], again)


def test_arrays_that_cannot_be_read_are_refused():
    for array, reason in (
        (np.zeros(3, np.float16), "numbers of type float16"),
        (np.zeros(3)[::-1], "negative strides"),
        (np.zeros(0), "empty"),
    ):
        with pytest.raises(NotCoveredError, match=reason):
            Reader().operand(array)
