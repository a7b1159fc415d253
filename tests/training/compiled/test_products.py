"""Compiled products, sums and gathers agree with NumPy for every shape and layout."""

import ctypes
import re
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")


import mlpgrad as mg
from mlpgrad.optimizers import vectors
from mlpgrad.training import compiled_worker
from mlpgrad.training.compiled import elementwise, products, program
from mlpgrad.training.compiled.operands import NotCoveredError, Reader
from mlpgrad.training.compiled.sharing import CLOSED
from mlpgrad.training.compiled.writing import Code
from mlpgrad.training.tape import Call
from tests.training.compiled import running
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


def matrix(rng, dtype, rows, columns, kind):
    """A matrix: plain, turned, a part of a larger one, one row or column repeated, or constant."""
    if kind == "turned":
        return drawn(rng, dtype, columns, rows).T
    if kind == "part":
        return drawn(rng, dtype, rows + 1, columns + 3)[1:, 2:-1]
    if kind == "plain":
        return drawn(rng, dtype, rows, columns)
    shape = {"rows": (1, columns), "columns": (rows, 1), "constant": (1, 1)}[kind]
    return np.broadcast_to(drawn(rng, dtype, *shape), (rows, columns))


kinds = st.sampled_from(["plain", "turned", "part", "rows", "columns", "constant"])
two = st.tuples(kinds, kinds)


@few
@given(m=sizes, k=sizes, n=sizes, dtype=dtypes, seed=seeds, of=two)
def test_products_of_matrices(m, k, n, dtype, seed, of):
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, dtype, m, k, of[0]), matrix(rng, dtype, k, n, of[1])
    out = np.empty((m, n), dtype)
    assert_close(compiled(lambda a, b, out: np.dot(a, b, out), a, b, out), dtype, k)


@pytest.mark.parametrize("second", ["plain", "constant"])
@pytest.mark.parametrize("first", ["plain", "constant"])
@pytest.mark.parametrize("k", [1, 3, 5, 16, 21])
def test_sums_of_constants(k, first, second):
    rng = np.random.default_rng(0)
    shapes = ((6, k, first), (k, 4, second), (6, k, second))
    a, b, more = (matrix(rng, np.float32, *shape) for shape in shapes)
    outs = [np.empty(shape, np.float32) for shape in ((6, 4), (6,), (6,), (k,))]

    def write(a, b, more, product, rows, sums, columns):
        np.matmul(a, b, product)
        np.vecdot(a, more, rows)
        np.add.reduce(a, axis=-1, out=sums)
        np.add.reduce(a, axis=-2, out=columns)

    assert_close(compiled(write, a, b, more, *outs), np.float32, k)


@few
@given(k=sizes, n=sizes, dtype=dtypes, seed=seeds)
def test_products_with_vectors_and_ones(k, n, dtype, seed):
    rng = np.random.default_rng(seed)
    a, v, w = drawn(rng, dtype, n, k), drawn(rng, dtype, k), drawn(rng, dtype, n)
    ones = np.ones((1, n), dtype)
    ones.flags.writeable = False
    square = np.full((k, k), 2, dtype)
    square.flags.writeable = False
    outs = [np.empty(shape, dtype) for shape in ((n,), (k,), (1, k), (n,), (1, k), (n, k))]

    def write(a, v, w, p, q, r, s, t, u):
        a.dot(v, p)
        w.dot(a, q)
        np.dot(ones, a, r)
        np.add.reduce(a, axis=-1, out=s)
        np.add.reduce(a, axis=-2, keepdims=True, out=t)
        np.dot(a, square, u)

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


deep = st.one_of(st.integers(2, 40), st.sampled_from([511, 512, 513, 1025, 1537]))
wide = st.one_of(st.integers(2, 70), st.sampled_from([16, 32, 33, 64, 127]))


@settings(max_examples=25)
@given(m=wide, k=deep, n=wide, dtype=dtypes, seed=seeds, of=two)
@example(m=40, k=30, n=50, dtype=np.float64, seed=0, of=("rows", "columns"))
@example(m=40, k=30, n=50, dtype=np.float32, seed=0, of=("columns", "rows"))
@example(m=600, k=1030, n=601, dtype=np.float64, seed=0, of=("plain", "turned"))
@example(m=500, k=1030, n=601, dtype=np.float64, seed=0, of=("turned", "plain"))
@example(m=2, k=512 * 513 + 1, n=2, dtype=np.float64, seed=0, of=("plain", "plain"))
def test_large_products_by_any_number_of_threads(m, k, n, dtype, seed, of):
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, dtype, m, k, of[0]), matrix(rng, dtype, k, n, of[1])
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "LARGE", 1)
        program.written.cache_clear()
        for helpers in (0, 1, 3):
            out = np.full((m, n), np.nan, dtype)
            pairs = compiled(lambda a, b, out: np.dot(a, b, out), a, b, out, helpers=helpers)
            assert_close(pairs, dtype, k)
            found.append(out)
    program.written.cache_clear()
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


several = st.lists(st.tuples(wide, deep, wide, dtypes, two), max_size=4)


def products_of(shapes, seed):
    """Products of large matrices in one step, and their arrays."""
    rng, arrays = np.random.default_rng(seed), []
    plain, turned = ("plain", "plain"), ("turned", "turned")
    rests = [(m, 9, 20, np.float64, plain) for m in (256, 4)]
    rests += [(64, k, 20, np.float64, turned) for k in (3, 5)]
    rests += [(4, 3, n, np.float64, plain) for n in (4, 9)]
    for m, k, n, dtype, of in [*shapes, *rests]:
        arrays += [matrix(rng, dtype, m, k, of[0]), matrix(rng, dtype, k, n, of[1])]
        arrays.append(np.full((m, n), np.nan, dtype))

    def write(*arrays):
        for a, b, out in zip(*[iter(arrays)] * 3, strict=True):
            np.dot(a, b, out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "LARGE", 1)
        program.written.cache_clear()
        yield from compiled(write, *arrays, helpers=1)
    program.written.cache_clear()


@settings(max_examples=10)
@given(shapes=several, seed=seeds)
def test_large_products_share_their_kernels(shapes, seed):
    for pair in products_of(shapes, seed):
        assert_close([pair], pair[0].dtype, 1537)


@settings(max_examples=10)
@given(shapes=several)
def test_a_name_stands_for_one_code(shapes):
    call_shared, again = Code.call_shared, []

    def renamed(text):
        """A code whose values are numbered in their order."""
        names, name = {}, re.compile(r"(?<=[%@])\w+|^\w+(?=:)", re.MULTILINE)
        return name.sub(lambda found: names.setdefault(found[0], f"_{len(names)}"), text)

    def spied(code, name, *given):
        earlier = {head: text for head, text in code.outside.items() if f"@{name}(" in head}
        code.outside = {head: code.outside[head] for head in code.outside if head not in earlier}
        call_shared(code, name, *given)
        for head, text in earlier.items():
            assert renamed(code.outside[head]) == renamed(text), head
            again.append(head)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Code, "call_shared", spied)
        list(products_of(shapes, 0))
    assert again


def test_large_products_need_little_code(monkeypatch):
    """With AVX-512, whose blocks are the largest; a line takes about 40 us to write and compile."""
    write, seen = program.written.__wrapped__, []

    def written(tapes, shared):
        seen.append(tapes)
        return write(tapes, shared)

    monkeypatch.setattr(program, "written", written)
    rng = np.random.default_rng(0)
    layers = [mg.Dense(784, 256), mg.ReLU(), mg.Dense(256, 128), mg.ReLU(), mg.Dense(128, 10)]
    model = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), random_state=0)
    x, y = rng.normal(size=(256, 784)), rng.integers(10, size=256)
    model.fit(x, y, optimizer=mg.Adam(), epochs=2, batch_size=128, verbose=0, compiled=True)
    monkeypatch.setattr(program.machine(), "width", 64)
    monkeypatch.setattr(program.machine(), "registers", 32)
    text, _, _ = write(seen[0], True)
    assert text.count("define internal void @block_") == 1
    assert len(text.splitlines()) < 2300


def part_of_kept(i, s, b, kept):
    np.add(kept[: s.size], s, kept[: s.size])


def row_of_kept(i, s, b, kept):
    np.add(kept[None, : s.size], s, kept[None, : s.size])


def over_kept(i, s, b, kept):
    np.multiply(b, 0.5, kept[: s.size])


def over_a_row_of_kept(i, s, b, kept):
    np.multiply(b, 0.5, kept[None, : s.size])


def own_factor(i, s, b, kept):
    np.multiply(b, kept[i : i + 1], b)


def own_function(i, s, b, kept):
    (np.add, np.subtract)[i % 2](b, 0.5, b)


def in_two_rows(i, s, b, kept):
    if b.size % 2 == 0:
        np.add(b.reshape(2, -1), 0.5, b.reshape(2, -1))


def alone(i, s, b, kept):
    np.negative(b, b)


OTHERS = [None, part_of_kept, row_of_kept, over_kept, over_a_row_of_kept, own_factor, own_function]
ALONE = [in_two_rows, alone]
same_parts = {"gap": 0, "same": False, "read": False, "seed": 0}


@settings(max_examples=100)
@given(
    parts=st.lists(st.tuples(st.integers(1, 8), st.integers(1, 2)), min_size=1, max_size=9),
    gap=st.integers(-9, 9),
    same=st.booleans(),
    other=st.sampled_from(OTHERS + ALONE),
    read=st.booleans(),
    seed=seeds,
)
@example(parts=[(7, 1)] * 8, other=None, **(same_parts | {"gap": 7, "same": True}))
@example(parts=[(4, 1)] * 8, other=own_factor, **same_parts)
@example(parts=[(4, 1)] * 8, other=own_function, **same_parts)
@example(parts=[(4, 1)] * 8, other=over_kept, **same_parts)
@example(parts=[(4, 1)] * 8, other=over_a_row_of_kept, **same_parts)
@example(parts=[(4, 1)] * 8, other=in_two_rows, **same_parts)
@example(parts=[(4, 2)] * 2, other=alone, **same_parts)
@example(parts=[(4, 1), (4, 2)], other=alone, **same_parts)
@example(parts=[(4, 1)] * 8, other=None, **(same_parts | {"read": True}))
def test_parts_of_arrays_in_any_order_of_memory(parts, gap, same, other, read, seed):
    """Every second number of a part of step 2; `gap` is between what is read and written."""
    rng = np.random.default_rng(seed)
    x, kept = drawn(rng, np.float64, 200), drawn(rng, np.float64, 9)
    y, scratch = x if same else drawn(rng, np.float64, 200), np.zeros(8)

    def write(x, y, kept, scratch):
        at = 40
        for i, (n, step) in enumerate(parts):
            end = at + (n - 1) * step + 1
            a, b, s = x[at:end:step], y[at + gap : end + gap : step], scratch[:n]
            if other not in ALONE:
                np.multiply(a, 0.5, s)
                np.add(b, s, b)
            if other is not None:
                other(i, s, b, kept)
            at = end
        if read:
            np.negative(scratch, x[:8])

    try:
        pairs = compiled(write, x, y, kept, scratch=[scratch])
    except NotCoveredError:
        assert same
        assert gap
        return
    for by_numpy, ours in pairs:
        np.testing.assert_array_equal(ours, by_numpy)


def test_the_update_of_a_large_network_is_one_loop(monkeypatch):
    counts, group, params = [], program.grouped, []

    def grouped(operations):
        counts.append(len(found := group(operations)))
        return found

    monkeypatch.setattr(program, "grouped", grouped)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 32, 600))
    for wish in (True, False):
        options = {"loss": mg.MeanSquaredError(), "dtype": np.float64, "random_state": 0}
        model = mg.Sequential([mg.Dense(600, 600)], **options)
        model.fit(x, y, optimizer=mg.Adam(), epochs=2, batch_size=8, verbose=0, compiled=wish)
        params.append(model.params)
    assert params[0].size > 5 * vectors.BLOCK
    assert counts[1] == 1
    np.testing.assert_allclose(*params, rtol=1e-9, atol=1e-12)


@settings(max_examples=10)
@given(
    shape=st.tuples(st.integers(1, 50), st.integers(1, 400)),
    dtype=dtypes,
    gap=st.booleans(),
    seed=seeds,
)
def test_long_loops_are_shared(shape, dtype, gap, seed):
    rng = np.random.default_rng(seed)
    x = drawn(rng, dtype, shape[0], shape[1] + gap)[:, : shape[1]]

    def write(x, out):
        np.multiply(x, x, out)
        np.add(out, x, out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(elementwise, "SHARED", 1)
        patch.setattr(elementwise, "TASK", 64)
        program.written.cache_clear()
        for helpers in (0, 2):
            out = np.full(shape, np.nan, dtype)
            for by_numpy, ours in compiled(write, x, out, helpers=helpers):
                np.testing.assert_array_equal(ours, by_numpy)
    program.written.cache_clear()


def test_a_training_has_the_same_bits_with_any_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(700, 300)), rng.integers(0, 3, 700)
    found = []
    for count in (1, 2, 3):
        monkeypatch.setattr(compiled_worker, "threads", lambda count=count: count)
        layers = [mg.Dense(300, 120), mg.ReLU(), mg.Dense(120, 3)]
        model = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), random_state=0)
        model.fit(x, y, optimizer=mg.Adam(), epochs=3, batch_size=128, verbose=0, compiled=True)
        found.append(model.params.copy())
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])


def test_threads_end_with_the_training(monkeypatch):
    before, during = threading.active_count(), []
    monkeypatch.setattr(compiled_worker, "threads", lambda: 3)

    class Count(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            during.append(threading.active_count() - before)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(512, 300)), rng.normal(size=(512, 120))
    model = mg.Sequential([mg.Dense(300, 120)], loss=mg.MeanSquaredError(), random_state=0)
    options = {"epochs": 2, "batch_size": 128, "verbose": 0, "compiled": True}
    model.fit(x, y, optimizer=mg.SGD(1e-4), callbacks=[Count()], **options)
    assert during == [2, 2]
    assert threading.active_count() == before


@pytest.mark.parametrize("fails", ["submit", "train"])
def test_threads_end_after_an_error(fails, monkeypatch):
    """A helper that has begun looks for tasks; it must stop if the training never starts."""
    made = []

    class Failing(program.Program):
        def __init__(self, tapes, helpers):
            super().__init__(tapes, helpers)
            made.append(self)
            if fails == "train":
                self._train = self.fail
                return
            turns = iter((self._pool.submit, self.fail))
            monkeypatch.setattr(self._pool, "submit", lambda *call: next(turns)(*call))

        def fail(self, *_):
            raise TimeoutError("a signal, or no more threads")

    monkeypatch.setattr(running, "Program", Failing)
    monkeypatch.setattr(products, "LARGE", 1)
    program.written.cache_clear()
    a, out = np.ones((8, 8)), np.empty((8, 8))
    with pytest.raises(TimeoutError, match="a signal"):
        compiled(lambda a, out: a.dot(a, out), a, out, helpers=2)
    program.written.cache_clear()
    closed = made[0]._board[CLOSED]
    made[0]._board[CLOSED] = 1  # else this test would never end
    made[0].close()
    assert closed


def test_waiting_threads_let_others_run(monkeypatch):
    calls = []
    count = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: calls.append(threading.get_ident()) or 0)
    place = ctypes.cast(count, ctypes.c_void_p).value
    monkeypatch.setattr(program, "give_way", lambda: place)
    rng = np.random.default_rng(0)
    a, out = rng.normal(size=(256, 256)), np.empty((256, 256))
    assert_close(compiled(lambda a, out: a.dot(a, out), a, out, helpers=1), np.float64, 256)
    assert set(calls) - {threading.get_ident()}


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


def test_many_short_tasks_of_several_threads(monkeypatch):
    """A task that is lost, made twice or made too early changes the sums, or never ends."""
    monkeypatch.setattr(elementwise, "SHARED", 1)
    monkeypatch.setattr(elementwise, "TASK", 64)
    monkeypatch.setattr(products, "LARGE", 1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(640, 20)), rng.normal(size=(640, 9))
    found = []
    for count in (1, 4):
        monkeypatch.setattr(compiled_worker, "threads", lambda count=count: count)
        for at_once in (1, 1 << 30):
            monkeypatch.setattr(compiled_worker, "WORK", at_once)
            program.written.cache_clear()
            layers = [mg.Dense(20, 37), mg.Tanh(), mg.Dense(37, 9)]
            model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
            options = {"epochs": 10, "batch_size": 16, "verbose": 0, "compiled": True}
            model.fit(x, y, optimizer=mg.Adam(), **options)
            found.append(model.params.copy())
    program.written.cache_clear()
    for params in found[1:]:
        np.testing.assert_array_equal(params, found[0])
