"""The promises of every metric, with every loss that it supports."""

import re

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import ENSEMBLE, LOSSES, every, example, subclasses
from tests.metrics.measuring import measured

METRICS = subclasses(mg.Metric)
SAMPLES = 50
every_metric = every(METRICS)


def loss_data(cls, seed=0):
    """A loss with predictions and targets of its example, many of them equal."""
    loss, prediction, target = cls.example()
    prediction = prediction * np.linspace(1, 0.7, 4)[:, None]  # rows that differ after a softmax
    rng = np.random.default_rng(seed)
    rows, others = rng.integers(0, len(prediction), (2, SAMPLES))
    return loss, prediction[rows], target[others].astype(prediction.dtype)


def readable(metric, loss_class):
    """Whether a metric supports a loss; otherwise it must raise a clear TypeError."""
    try:
        measured(metric, *loss_data(loss_class))
    except TypeError as error:
        return not re.search("expects|does not define|does not predict", str(error))
    return True


PAIRS = [(m, loss) for m in METRICS for loss in LOSSES if readable(example(m), loss)]
every_pair = pytest.mark.parametrize(
    ("cls", "loss_class"), PAIRS, ids=[f"{m.__name__}-{loss.__name__}" for m, loss in PAIRS]
)


@every_metric
def test_it_reads_some_loss_and_refuses_another(cls):
    read = {loss for metric, loss in PAIRS if metric is cls}
    assert read, f"{cls.__name__} raises TypeError under every loss"
    assert read != set(LOSSES), f"{cls.__name__} compares classes with numbers under some loss"


def test_names_are_snake_case_and_unique():
    names = [example(cls).name for cls in METRICS]
    assert all(re.fullmatch("[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in names), names
    assert len(set(names)) == len(names)
    assert "metric" not in names


@every_metric
def test_the_direction_is_known_and_correct(cls):
    metric = example(cls)
    assert isinstance(metric.larger_is_better, bool)
    labels, rng = np.arange(SAMPLES) % 3, np.random.default_rng(0)
    numbers = rng.normal(size=(SAMPLES, 2))
    logits = 9 * np.eye(3)[labels] + rng.random((SAMPLES, 3))
    data = {
        mg.SoftmaxCrossEntropy: (logits, labels[:, None]),
        mg.SigmoidCrossEntropy: (logits[:, :1] - 4, labels[:, None] == 0),
        mg.MeanSquaredError: (numbers, numbers),
    }
    compared = 0
    for loss_class, (perfect, target) in data.items():
        if (cls, loss_class) in PAIRS:
            compared += 1
            arguments = metric, loss_class()
            best = measured(*arguments, perfect, target.astype(float))
            bad = measured(*arguments, perfect[::-1] + 0.1, target.astype(float))
            assert (best > bad) if metric.larger_is_better else (best < bad)
    assert compared


@every_pair
@pytest.mark.parametrize("dtype", ["float16", "float32", "longdouble"])
def test_every_dtype_has_the_same_value(cls, loss_class, dtype):
    loss, prediction, target = loss_data(loss_class)
    # numbers that each dtype holds; where probabilities are expected, in rows that sum to 1
    prediction = np.round(prediction * 64) / 64
    if loss.expects_probabilities and prediction.shape[-1] > 1:
        prediction[:, -1] = 1 - prediction[:, :-1].sum(axis=-1)
    target, weights = np.round(target * 64) / 64, np.arange(SAMPLES)[:, None] % 3 * 1.0
    expected = measured(example(cls), loss, prediction, target, weights, size=7)
    cast = (array.astype(dtype) for array in (prediction, target, weights))
    found = measured(example(cls), loss, *cast, size=7)
    np.testing.assert_allclose(
        np.float64(found), expected, rtol=1e-2 if dtype == "float16" else 1e-4
    )


@every_pair
def test_it_is_a_finite_number(cls, loss_class):
    value = measured(example(cls), *loss_data(loss_class))
    assert np.ndim(value) == 0
    assert np.isfinite(value)


@every_pair
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_and_their_order_change_nothing(cls, loss_class, weighted):
    loss, prediction, target = loss_data(loss_class)
    weights = np.random.default_rng(1).random((SAMPLES, 1)) if weighted else None
    whole = measured(example(cls), loss, prediction, target, weights)
    for size in (1, 7, 49):
        again = measured(example(cls), loss, prediction, target, weights, size)
        np.testing.assert_allclose(again, whole, rtol=1e-11, atol=1e-13)
    order = np.random.default_rng(2).permutation(SAMPLES)
    arrays = [None if a is None else a[order] for a in (prediction, target, weights)]
    again = measured(example(cls), loss, *arrays, size=7)
    np.testing.assert_allclose(again, whole, rtol=1e-11, atol=1e-13)


@every_pair
def test_a_sample_of_weight_two_counts_as_two(cls, loss_class):
    loss, prediction, target = loss_data(loss_class)
    counts = np.random.default_rng(1).integers(0, 4, SAMPLES)
    weighted = measured(example(cls), loss, prediction, target, counts[:, None].astype(float), 8)
    rows = np.repeat(np.arange(SAMPLES), counts)
    repeated = measured(example(cls), loss, prediction[rows], target[rows])
    np.testing.assert_allclose(weighted, repeated, rtol=1e-11, atol=1e-13)


@every_pair
@pytest.mark.parametrize("equal_targets", [False, True])
@pytest.mark.parametrize("odd", [0.3, -1e200, np.inf, np.nan])
def test_a_sample_of_weight_zero_changes_nothing(cls, loss_class, odd, equal_targets):
    loss, prediction, target = loss_data(loss_class)
    prediction, weights = prediction.astype(float), np.random.default_rng(1).random((SAMPLES, 1))
    counts = np.random.default_rng(2).random(SAMPLES) < 0.7
    counts[0] = False
    if equal_targets:
        target[counts] = target[counts][0]
    without = measured(example(cls), loss, prediction[counts], target[counts], weights[counts])
    prediction[~counts], weights[~counts] = odd, 0
    if not loss.classifies:
        target[~counts] = np.nan_to_num(odd, nan=1e20, posinf=1e300)
    with np.errstate(all="ignore"):  # as in `evaluate`
        found = measured(example(cls), loss, prediction, target, weights, 20)
    np.testing.assert_allclose(found, without, rtol=1e-11, atol=1e-13)


@every_pair
def test_all_weights_zero_is_no_error(cls, loss_class):
    weights = np.zeros((SAMPLES, 1))  # warnings are errors here
    assert np.ndim(measured(example(cls), *loss_data(loss_class), weights, size=20)) == 0


@every_pair
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_nan_if_an_output_is(cls, loss_class, weighted):
    loss, prediction, target = loss_data(loss_class)
    weights = np.ones((SAMPLES, 1)) if weighted else None
    prediction[3] = np.nan  # all outputs, since some are not what a metric compares
    for size in (None, 1):
        assert np.isnan(measured(example(cls), loss, prediction, target, weights, size))
    if loss.classifies and cls is not mg.LogLoss:  # which reads the class's probability alone
        prediction[3, 1:] = 0
        assert np.isnan(measured(example(cls), loss, prediction, target, weights))


@every_pair
@pytest.mark.parametrize("own_targets", [False, True])
@pytest.mark.parametrize("own_weights", [None, False, True])
def test_an_ensemble_equals_a_loop_over_its_members(cls, loss_class, own_targets, own_weights):
    members = [loss_data(loss_class, seed) for seed in range(ENSEMBLE)]
    loss, _, target = members[0]
    predictions = np.stack([prediction for _, prediction, _ in members])
    targets = np.stack([t if own_targets else target for _, _, t in members])
    weights = np.random.default_rng(1).random((ENSEMBLE, SAMPLES, 1))
    if own_weights is None:
        weights = None
    elif not own_weights:
        weights[:] = weights[0]
    values = measured(
        example(cls),
        loss,
        predictions,
        targets if own_targets else target,
        weights if own_weights is not False else weights[0],
        size=8,
    )
    assert values.shape == (ENSEMBLE,)
    for i, value in enumerate(values):
        w = None if weights is None else weights[i]
        alone = measured(example(cls), loss, predictions[i], targets[i], w, size=8)
        np.testing.assert_allclose(value, alone, rtol=1e-11, atol=1e-13)


@every_pair
def test_float32_is_close_to_float64(cls, loss_class):
    loss, prediction, target = loss_data(loss_class)
    exact = measured(example(cls), loss, prediction, target)
    value = measured(example(cls), loss, prediction.astype(np.float32), target)
    np.testing.assert_allclose(value, exact, rtol=1e-5, atol=1e-6)


@every_metric
def test_two_passes_at_a_time_do_not_mix(cls):
    loss_class = next(loss for metric, loss in PAIRS if metric is cls)
    loss, prediction, target = loss_data(loss_class)
    target = loss.cast(target, prediction.dtype)
    metric, halves = example(cls), (slice(0, 25), slice(25, None))
    accumulators = [metric.start(), metric.start()]
    for accumulator, rows in zip(accumulators, halves, strict=True):
        accumulator.add(prediction[rows], target[rows], None, loss)
    for accumulator, rows in zip(accumulators, halves, strict=True):
        alone = measured(example(cls), loss, prediction[rows], target[rows])
        assert accumulator.result() == alone
