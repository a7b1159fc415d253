"""All sums over a long batch keep the digits of single precision.

A batch that repeats some rows has the loss and the gradients of those rows. So a long float32 batch
is compared with the few rows that it repeats, to 1e-6 of the largest number of each array.
"""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad._core import arrays
from tests.kinds import CASES, every_loss, layer_case, loss_case

REPEATS = 1 << 15  # a power of two: the mean's 1/B has the same digits
RANDOM = {mg.Dropout: "draws a mask for each row"}
SAME_ROWS = [case for case in CASES if case.values[1] not in RANDOM]


def results(model, x, y, weights=None):
    """The sums over the batch in a step: value, gradients and statistics."""
    value = model.backpropagate(x, y, sample_weight=weights)
    of_layers = {f"{slot.name}": slot.layer.grads[slot.kind] for slot in model.parameters}
    statistics = {
        slot.name: slot.layer.state[slot.kind]
        for slot in model.statistics
        if slot.kind != "running_var"  # has B / (B - 1)
    }
    arrays = {"value": value, **of_layers, **statistics}
    return {name: np.array(array, np.float64) for name, array in arrays.items()}


def error(case, cls, size=None, weighted=False, repeats=REPEATS):
    """The largest error of a long batch, relative to the largest number of each array."""
    few, x, y = case(cls, np.float32, size)
    x = x + 2  # means that are not 0
    weights = np.linspace(0.5, 1.5, len(x)) if weighted else None
    many, _, _ = case(cls, np.float32, size)
    expected = results(few, x, y, weights)
    tiled = (np.tile(a, (repeats, *[1] * (a.ndim - 1))) for a in (x, y))
    found = results(many, *tiled, None if weights is None else np.tile(weights, repeats))
    return max(
        abs(found[name] - expected[name]).max() / max(abs(expected[name]).max(), 1e-3)
        for name in expected
    )


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("case", "cls"), SAME_ROWS)
def test_a_long_batch_has_the_sums_of_its_rows(case, cls, weighted):
    assert error(case, cls, weighted=weighted) < 1e-6


@pytest.mark.parametrize("cls", [mg.Dense, mg.BatchNorm, mg.LayerNorm])
def test_each_member_of_an_ensemble_has_them(cls):
    assert error(layer_case, cls, size=3, repeats=1 << 13) < 1e-6


@pytest.mark.parametrize("rows", [1 << 10, 1 << 14])
def test_a_thousand_weights_are_summed_to_the_last_digits(rows):
    weights = np.full((rows, 1), 1.1, np.float32)
    prediction = np.full((rows, 1), 3, np.float32)
    value = mg.MeanAbsoluteError().forward(prediction, 0 * prediction, weights)
    np.testing.assert_allclose(value, 3, rtol=1e-6)


@every_loss
def test_each_member_of_an_ensemble_has_its_mean_loss(cls):
    assert error(loss_case, cls, size=3, weighted=True, repeats=1 << 13) < 1e-6


@pytest.mark.parametrize("cls", [mg.Dense, mg.BatchNorm, mg.LayerNorm, mg.MeanSquaredError])
def test_without_double_precision_the_digits_are_lost(cls, monkeypatch):
    """The comparison finds the error of summing long batches like short ones."""
    monkeypatch.setattr(arrays, "LONG", 1 << 40)
    case = layer_case if issubclass(cls, mg.Layer) else loss_case
    assert error(case, cls) > 1e-6


def test_a_million_equal_rows():
    model = mg.Sequential([mg.Dense(1, 1)], loss=mg.MeanSquaredError(), random_state=0)
    x = np.full((1_000_000, 1), 1.1, np.float32)
    value = model.backpropagate(x, np.zeros_like(x))
    twin = model.lifted("float64")
    np.testing.assert_allclose(value, twin.backpropagate(x, np.zeros_like(x)), rtol=2e-7)
    np.testing.assert_allclose(model.grads, twin.grads, rtol=2e-7)


@pytest.mark.parametrize("shape", [(), (3,)], ids=["one", "ensemble"])
@pytest.mark.parametrize("shared", [True, False])
def test_sums_of_products_by_blocks(shape, shared):
    rng = np.random.default_rng(0)
    rows = arrays.LONG + 1000
    left = rng.normal(size=(*(() if shared else shape), rows, 4)).astype(np.float32)
    right = rng.normal(size=(*shape, rows, 2)).astype(np.float32)
    buffers = arrays.block_buffers(left.shape, right.shape, right.dtype)
    with_ones = np.concatenate([left, np.ones_like(left[..., :1])], axis=-1).astype(np.float64)
    for _ in range(2):
        sums = arrays.sum_products(left, right, buffers)
        np.testing.assert_allclose(sums, with_ones.mT @ right.astype(float), rtol=1e-9, atol=1e-9)


def test_short_batches_and_double_precision_are_summed_at_once():
    rows = arrays.LONG
    assert arrays.block_buffers((rows, 3), (rows, 2), np.dtype(np.float32)) is None
    for dtype in (np.float64, np.longdouble, np.complex128):
        assert arrays.summing_dtype(np.dtype(dtype), 10 * rows) is None
