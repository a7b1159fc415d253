"""After warm-up, a training step allocates nothing that grows with the batch.

The peak of allocated bytes within a step is compared between two batches, the second twice as
large (for optimizers, between two lengths of the parameter vector). Both exceed NumPy's own buffer
of 8,192 elements, so the peaks differ only if something as long as the batch is allocated.
"""

import os
import sys
import tracemalloc

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core.arrays import LONG
from mlpgrad.training.batches import Minibatches
from tests.kinds import every_case, every_optimizer, one_and_many

SMALL, LARGE = 6400, 12800
ANY_ARRAY = LARGE // 4  # bytes: an array with one byte per sample is four times as large
FOLDERS = (os.path.dirname(mg.__file__) + os.sep, __file__)

ALLOCATING = {
    mg.Elementwise: "the user's functions return arrays of their own",
}


def step_peak(step):
    """The peak of allocated bytes within one step, after warm-up."""
    for _ in range(3):
        step()
    tracemalloc.start()
    try:
        step()
        peaks = []
        for _ in range(3):
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            step()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
        return min(peaks)
    finally:
        tracemalloc.stop()


def allocating_lines(step, least=ANY_ARRAY):
    """The lines of mlpgrad that allocate at least this many bytes, for the failure message."""
    found, line = {}, None
    step()

    def trace(frame, event, arg):
        nonlocal line
        now, peak = tracemalloc.get_traced_memory()
        if line and peak - line[1] >= least:
            found[line[0]] = peak - line[1]
        if not frame.f_code.co_filename.startswith(FOLDERS):
            return None
        tracemalloc.reset_peak()
        next_to_run = frame.f_back if event == "return" else frame
        file = os.path.basename(next_to_run.f_code.co_filename)
        line = f"{file}:{next_to_run.f_lineno}", now
        return trace

    tracemalloc.start()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)
        tracemalloc.stop()
    return found


def assert_allocates_nothing_that_grows(step_for, small=SMALL, large=LARGE):
    """Compare two steps; `step_for(n)` makes a step on n samples (or parameters)."""
    growth = step_peak(step_for(large)) - step_peak(step_for(small))
    assert growth < ANY_ARRAY, allocating_lines(step_for(large))


def repeated(rows, count):
    """The first `count` rows of a repetition of the rows."""
    return np.resize(rows, (count, *rows.shape[1:]))


def bare_step(case, cls, size, samples):
    model, x, y = case(cls, np.float32, size)
    arrays = model._cast(repeated(x, samples), repeated(y, samples), None)
    return lambda: model._step(*arrays)


@every_case
@one_and_many
def test_a_step(case, cls, size, request):
    if cls in ALLOCATING:
        request.applymarker(pytest.mark.xfail(reason=ALLOCATING[cls]))
    assert_allocates_nothing_that_grows(lambda n: bare_step(case, cls, size, n))


@pytest.mark.slow
@every_case
def test_a_step_on_a_long_batch(case, cls, request):
    if cls in ALLOCATING:
        request.applymarker(pytest.mark.xfail(reason=ALLOCATING[cls]))
    assert_allocates_nothing_that_grows(
        lambda n: bare_step(case, cls, None, n), small=2 * LONG, large=4 * LONG
    )


OPTIONS = [{}, {"weight_decay": 0.1}, {"clip_value": 1.0}, {"clip_norm": 1.0}]


@pytest.mark.parametrize("lead", [(), (3,)], ids=["one", "ensemble"])
@every_optimizer
def test_an_optimizer_step(cls, lead):
    def step_for(count):
        params, optimizer = np.ones((*lead, count), np.float32), cls.example()
        grads = params.copy()
        return lambda: optimizer.step(params, grads)

    assert_allocates_nothing_that_grows(step_for)


@pytest.mark.parametrize("lead", [(), (3,)], ids=["one", "ensemble"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_an_optimizer_step_with_options(options, lead):
    def step_for(count):
        params, optimizer = np.ones((*lead, count), np.float32), mg.Adam(**options)
        grads = params.copy()
        return lambda: optimizer.step(params, grads)

    assert_allocates_nothing_that_grows(step_for)


@pytest.mark.parametrize("penalty", [mg.L1, mg.L2])
def test_a_step_with_a_penalty(penalty):
    def step_for(parameters):
        model = mg.Sequential(
            [mg.Dense(parameters // 10, 10)], loss=mg.MeanSquaredError(), penalties=[penalty(0.1)]
        )
        arrays = model._cast(np.ones((2, parameters // 10)), np.ones((2, 10)), None)
        return lambda: model._step(*arrays)

    assert_allocates_nothing_that_grows(step_for)


class StepPeaks(mg.Callback):
    """Measures peaks between the ends of batches, which include all that `fit` does per step."""

    def __init__(self):
        self.peaks, self.before = [], None

    def on_train_batch_end(self, batch, logs):
        now, peak = tracemalloc.get_traced_memory()
        if self.before is not None:
            self.peaks.append(peak - self.before)
        tracemalloc.reset_peak()
        self.before = now


def fit_step_peak(batch, dtype=np.float32, weights=None, **options):
    """The peak of bytes that a step of `fit` allocates, including the gather of its batch.

    Batches are so wide that each is gathered by itself.
    """
    x = np.random.default_rng(0).normal(size=(4 * batch, 16)).astype(dtype)
    y, steps = np.arange(len(x)) % 2, StepPeaks()
    model = mg.Sequential(
        [mg.Dense(16, 4), mg.Tanh(), mg.Dense(4, 2)], loss=mg.SoftmaxCrossEntropy()
    )
    options |= {"epochs": 2, "batch_size": batch, "callbacks": [steps], "verbose": 0}
    options["sample_weight"] = None if weights is None else np.full(len(x), weights)
    tracemalloc.start()
    try:
        model.fit(x, y, optimizer=mg.Adam(), **options)
    finally:
        tracemalloc.stop()
    return max(steps.peaks[-3:])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shuffle": False},
        {"dtype": np.float64},
        {"weights": 1.0},
        pytest.param(
            {"metrics": [mg.Accuracy()]}, marks=pytest.mark.xfail(reason="returns new arrays")
        ),
    ],
    ids=lambda options: " ".join(options) or "plain",
)
def test_a_step_inside_fit(options):
    assert fit_step_peak(LARGE, **options) - fit_step_peak(SMALL, **options) < ANY_ARRAY


@pytest.mark.slow
def test_batches_of_all_sizes_and_changing_options_leave_nothing_behind():
    """The memory kept for the next call is bounded."""
    penalty = mg.L2(0.1)
    layers = [mg.Dense(3, 4), mg.BatchNorm(4), mg.ReLU(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), penalties=[penalty])

    def use(sizes):
        for n in sizes:
            penalty.strength = 1 / n
            model.backpropagate(np.ones((n, 3)), np.ones((n, 1)))
            model.predict(np.ones((n, 3)))

    tracemalloc.start()
    try:
        use(range(200, 998, 2))  # 399: a layer keeps up to three sets of buffers
        before = tracemalloc.get_traced_memory()[0]
        use(range(201, 999, 2))
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


LAYOUTS = {
    "columns first": np.asfortranarray,
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "some columns": lambda x: np.hstack([x, x])[:, : x.shape[1]],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_any_layout_are_gathered_without_a_copy_of_all(layout, dtype):
    x = np.arange(200_000, dtype=dtype).reshape(-1, 4)
    options = {"batch_size": 10, "shuffle": True, "rng": np.random.default_rng(0)}
    batches = Minibatches([layout(x), None, None], [np.dtype(np.float32)] * 3, **options)
    batches.block = 100  # rows gathered together
    blocks = batches.blocks()
    first = next(blocks)[0][0].copy()
    tracemalloc.start()
    try:
        for _ in range(10):
            next(blocks)
        assert tracemalloc.get_traced_memory()[1] < x.nbytes / 20
    finally:
        tracemalloc.stop()
    order = np.arange(len(x))
    np.random.default_rng(0).shuffle(order)
    np.testing.assert_array_equal(first, x[order[:10]])


class Careless(mg.ReLU):
    """A layer that makes one array per step."""

    def backward(self, delta):
        return super().backward(delta) * np.float32(1)


def test_an_array_a_step_is_noticed():
    def step_for(samples):
        model = mg.Sequential([mg.Dense(5, 5), Careless()], loss=mg.HalfSquaredError())
        arrays = model._cast(np.ones((samples, 5)), np.ones((samples, 5)), None)
        return lambda: model._step(*arrays)

    assert step_peak(step_for(LARGE)) - step_peak(step_for(SMALL)) > ANY_ARRAY
    array = 5 * 4 * LARGE  # bytes; the arguments of calls, which are freed, are a few
    (line,) = allocating_lines(step_for(LARGE), array - 1000)
    assert line.startswith("test_allocation.py:")
