"""Metrics: scikit-learn's values, batches of any size, weights, ensembles, and errors."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mlpgrad as mg
from tests.kinds import compare_with_golden, subclasses
from tests.metrics.measuring import measured

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/metrics.json").read_text())
CASES = [
    (data, weights, metric)
    for data, case in GOLDEN["data"].items()
    for weights, values in case["values"].items()
    for metric in values
]
CLASSES = subclasses(mg.Metric)
LACKING = {}  # metrics that scikit-learn does not have, with the reason


def make(text):
    return eval(text, vars(mg).copy())


def golden_case(data, weights, metric):
    case = GOLDEN["data"][data]
    prediction, target = np.array(case["prediction"]), np.array(case["target"])
    w = GOLDEN["weights"][weights]
    return (
        (make(metric), make(case["loss"]), prediction, target.reshape(len(target), -1)),
        None if w is None else np.array(w)[:, None],
        case["values"][weights][metric],
    )


@pytest.mark.parametrize(("data", "weights", "metric"), CASES)
@pytest.mark.parametrize("size", [None, 17, 1])
def test_values_are_scikit_learns(data, weights, metric, size):
    arguments, w, expected = golden_case(data, weights, metric)
    value = measured(*arguments, w, size)
    assert_allclose(value, expected, rtol=1e-9 if data == "far from zero" else 1e-12, atol=1e-15)


def test_every_metric_has_golden_values():
    compared = {metric.partition("(")[0] for _, _, metric in CASES}
    compare_with_golden(CLASSES, compared, LACKING, "tests/golden/make_metrics.py")


@pytest.mark.parametrize("metric", ["R2()", "MeanAbsolute()", "RootMeanSquared()"])
@pytest.mark.parametrize(
    ("dtype", "size"), [("float16", 6e4), ("float32", 1e30), ("float32", 1e-30)]
)
def test_errors_are_squared_in_float64(metric, dtype, size):
    rng = np.random.default_rng(0)
    prediction, target = (size * rng.uniform(-1, 1, (2, 20, 3))).astype(dtype)
    value = measured(make(metric), mg.MeanAbsoluteError(), prediction, target)
    expected = measured(
        make(metric), mg.MeanAbsoluteError(), *map(np.float64, (prediction, target))
    )
    assert_allclose(value, expected, rtol=1e-12)
    assert 0 < abs(value) < np.inf


def test_a_relative_error_of_zero_is_zero_in_every_dtype():
    metric, loss = mg.MeanAbsolutePercentageError(), mg.MeanAbsoluteError()
    for dtype in (np.float16, np.float32, np.float64):
        exact, other = np.zeros((3, 1), dtype), np.ones((3, 1), dtype)
        assert measured(metric, loss, exact, exact) == 0
        assert measured(metric, loss, other, exact) == 2**52


@pytest.mark.parametrize("metric", ["Accuracy()", "F1('macro')", "AUC()", "LogLoss()", "TopK(2)"])
def test_evaluate_is_the_same_beyond_a_thousand_rows(metric):
    case = GOLDEN["data"]["five classes"]
    logits, labels = np.tile(case["prediction"], (25, 1)), np.tile(case["target"], 25)
    model = mg.Sequential([mg.Identity()], loss=mg.SoftmaxCrossEntropy(), dtype=float)
    found = model.evaluate(logits, labels, metrics=[make(metric)])
    expected = case["values"]["without weights"][metric]
    assert list(found.values())[1] == pytest.approx(expected, rel=1e-12)
    assert type(list(found.values())[1]) is float


# far from zero


@pytest.mark.parametrize("size", [None, 64, 7])
@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9])
def test_r2_keeps_its_digits_far_from_zero(offset, size):
    rng = np.random.default_rng(0)
    noise, error = rng.normal(size=(500, 1)), 0.5 * rng.normal(size=(500, 1))
    noise = np.round(noise * 1024) / 1024  # so that the sum with the offset is exact
    error = np.round(error * 1024) / 1024
    target, prediction = offset + noise, offset + noise + error
    exact = 1 - (error**2).sum() / ((noise - noise.mean()) ** 2).sum()
    value = measured(mg.R2(), mg.MeanSquaredError(), prediction, target, size=size)
    assert value == pytest.approx(exact, abs=1e-10)


@pytest.mark.parametrize("size", [None, 7])
def test_r2_keeps_its_digits_after_a_first_target_far_away(size):
    target = 1e6 + np.random.default_rng(0).normal(size=(500, 1))
    target[0] = 0.0
    prediction = target + 0.3
    weights = np.ones((500, 1))
    weights[0] = 0.0  # it does not count, and the others must keep their digits
    exact = 1 - 499 * 0.3**2 / np.square(target[1:] - target[1:].mean()).sum()
    value = measured(mg.R2(), mg.MeanSquaredError(), prediction, target, weights, size)
    assert value == pytest.approx(exact, abs=1e-6)


def test_targets_that_are_all_equal():
    target = np.full((30, 1), 0.1)
    loss, weights = mg.MeanSquaredError(), np.random.default_rng(0).random((30, 1))
    for size in (None, 7):
        assert measured(mg.R2(), loss, target, target, weights, size) == 1
        assert measured(mg.R2(), loss, target + 1e-9, target, weights, size) == 0


# ties and degenerate counts


def test_equal_outputs_count_in_order():
    logits = np.array([[1.0, 1.0, 1.0]] * 3)
    target = np.array([[0], [0], [1]])
    loss = mg.SoftmaxCrossEntropy()
    accuracy = measured(mg.Accuracy(), loss, logits, target)
    assert accuracy == measured(mg.TopK(1), loss, logits, target) == pytest.approx(2 / 3)
    assert measured(mg.TopK(2), loss, logits, target) == 1
    assert measured(mg.TopK(2), loss, logits, target + 1) == pytest.approx(2 / 3)


def test_auc_without_negatives_is_not_a_number():
    loss, scores = mg.SigmoidCrossEntropy(), np.array([[0.3], [0.7]])
    assert np.isnan(measured(mg.AUC(), loss, scores, np.ones((2, 1))))
    assert measured(mg.AUC(), loss, np.zeros((2, 1)), np.array([[0], [1]])) == 0.5
    weights = np.array([[1.0], [0.0]])
    assert np.isnan(measured(mg.AUC(), loss, scores, np.array([[0], [1]]), weights))


def test_auc_keeps_apart_logits_whose_probabilities_are_equal():
    logits = np.array([[40.0], [50.0], [60.0]])  # sigmoid is 1 for each of them
    assert measured(mg.AUC(), mg.SigmoidCrossEntropy(), logits, np.array([[0], [0], [1]])) == 1


@pytest.mark.parametrize("metric", [mg.Precision(), mg.Recall(), mg.F1(), mg.F1("micro")])
def test_a_quotient_of_nothing_is_zero(metric):
    loss, logits = mg.SigmoidCrossEntropy(), np.array([[-1.0], [-2.0]])
    zero = np.zeros((2, 1))
    assert measured(metric, loss, logits, zero, zero) == 0
    if metric.average == "auto":
        assert measured(metric, loss, logits, zero) == 0


# losses whose outputs are not the numbers themselves


def test_numbers_of_a_poisson_loss_are_rates():
    logs, counts = np.log([[2.0], [3.0]]), np.array([[2.0], [5.0]])
    assert measured(mg.MeanAbsolute(), mg.Poisson(), logs, counts) == pytest.approx(1.0)


def test_numbers_of_a_normal_law_are_means():
    outputs = np.array([[1.0, 2.0, -9.0, -9.0]])
    target = np.array([[1.0, 4.0]])
    assert measured(mg.MeanAbsolute(), mg.GaussianNLL(), outputs, target) == 1.0


def test_numbers_of_quantiles_are_medians():
    outputs, target = np.array([[0.0, 1.0, 9.0, 1.0, 2.0, 9.0]]), np.array([[1.0, 4.0]])
    assert measured(mg.MeanAbsolute(), mg.Quantile([0.1, 0.5, 0.9]), outputs, target) == 1.0
    assert measured(mg.MeanAbsolute(), mg.Quantile(0.9), target, target) == 0
    with pytest.raises(TypeError, match=r"does not predict the median; add the level 0.5"):
        measured(mg.MeanAbsolute(), mg.Quantile([0.1, 0.2, 0.9]), outputs, target)


# errors

REGRESSION = [mg.MeanAbsolute(), mg.RootMeanSquared(), mg.R2(), mg.MeanAbsolutePercentageError()]


@pytest.mark.parametrize("metric", REGRESSION, ids=repr)
def test_numbers_are_not_compared_with_classes(metric):
    model = mg.Sequential([mg.Dense(2, 3)], loss=mg.SoftmaxCrossEntropy())
    x, y = np.ones((4, 2)), [0, 1, 2, 0]
    name = type(metric).__name__
    with pytest.raises(TypeError, match=f"{name} expects a loss on numbers, got SoftmaxCross"):
        model.evaluate(x, y, metrics=[metric])
    with pytest.raises(TypeError, match=f"{name} expects a loss on numbers"):
        model.fit(x, y, optimizer=mg.SGD(0.1), metrics=[metric], epochs=1, verbose=0)


def test_widths_that_differ_are_not_broadcast():
    class Pairs(mg.Loss):
        def target_features(self, out_features):
            return 1

    with pytest.raises(TypeError, match=r"MeanAbsolute expects as many .* got 2 and 1 columns"):
        measured(mg.MeanAbsolute(), Pairs(), np.zeros((3, 2)), np.zeros((3, 1)))


@pytest.mark.parametrize("metric", [mg.TopK(2), mg.CalibrationError()], ids=repr)
def test_labels_are_not_classes(metric):
    loss, logits = mg.SigmoidCrossEntropy(), np.zeros((4, 3))
    with pytest.raises(TypeError, match="expects one class per sample, got 3 separate labels"):
        measured(metric, loss, logits, np.zeros((4, 3)))


def test_more_guesses_than_classes():
    with pytest.raises(ValueError, match="k below the number of classes, 3, got 3"):
        measured(mg.TopK(3), mg.SoftmaxCrossEntropy(), np.eye(3), np.array([[0], [1], [2]]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mg.TopK(0), "TopK expects k, an int >= 1, got 0"),
        (lambda: mg.TopK(1.5), "got 1.5"),
        (lambda: mg.CalibrationError(1), "bins expects an int >= 2, got 1"),
        (lambda: mg.F1("mean"), "F1: average expects 'auto', .* got 'mean'"),
    ],
)
def test_bad_options(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("accuracy", r"got 'accuracy' at metrics\[0\]; write mg.Accuracy\(\)"),
        ("F1", r"got 'F1' at metrics\[0\]; write mg.F1\(\)"),
        (mg.R2, r"got the class R2 at metrics\[0\]; write R2\(\.\.\.\)"),
        ("Acuracy", "did you mean 'Accuracy'"),
        (None, "got None"),
    ],
)
def test_what_is_no_metric(given, message):
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())
    with pytest.raises(TypeError, match=f"metrics expects a Metric such as .*{message}"):
        model.evaluate(np.ones((4, 2)), [0, 1, 1, 0], metrics=[given])
    with pytest.raises(TypeError, match="metrics expects a Metric such as"):
        model.fit(np.ones((4, 2)), [0, 1, 1, 0], optimizer=mg.SGD(0.1), metrics=[given], verbose=0)


def test_names_differ():
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())
    found = model.evaluate(np.ones((2, 2)), [0, 1], metrics=[mg.F1(), mg.F1("macro")])
    assert list(found) == ["loss", "f1", "f1_macro"]
    with pytest.raises(ValueError, match="different names, got 'f1' twice"):
        model.evaluate(np.ones((2, 2)), [0, 1], metrics=[mg.F1(), mg.F1()])


@pytest.mark.parametrize("name", ["loss", "learning_rate", "epoch", "val_loss", "ensemble_own"])
def test_a_metric_has_no_name_of_another_value(name):
    """The history would hold only one of them."""
    metric = mg.Accuracy()
    metric.name = name
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())
    data = np.ones((2, 2)), [0, 1]
    with pytest.raises(ValueError, match=f"Accuracy.. has the name '{name}', which other values"):
        model.evaluate(*data, metrics=[metric])
    with pytest.raises(ValueError, match=f"Accuracy.. has the name '{name}', which other values"):
        model.fit(*data, optimizer=mg.SGD(0.1), metrics=[metric], verbose=0)
    metric.name = "another"
    assert "another" in model.evaluate(*data, metrics=[metric])


# a metric of one's own


class Own(mg.Metric):
    name, shape = "own", None

    def values(self, prediction, target, loss):
        return np.ones(self.shape)


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("shape", [(8, 1), (1,), (), (4,), (8, 8)])
def test_values_of_a_wrong_shape_are_refused(size, shape):
    metric = Own()
    lead = () if size is None else (size,)
    metric.shape = (*lead, *shape)
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), ensemble_size=size)
    expected = re.escape(f"Own.values: expected an array of shape {(*lead, 8)}, got {metric.shape}")
    with pytest.raises(ValueError, match=expected):
        model.evaluate(np.ones((8, 2)), np.ones(8), metrics=[metric])
    with pytest.raises(ValueError, match=r"Own\.values"):
        model.fit(np.ones((8, 2)), np.ones(8), optimizer=mg.SGD(0.1), metrics=[metric], verbose=0)


def test_several_sums_must_be_declared_and_reduced():
    metric = Own()
    metric.sums, metric.shape = 2, (8, 3)
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError())
    with pytest.raises(ValueError, match=r"expected an array of shape \(8, 2\), got \(8, 3\)"):
        model.evaluate(np.ones((8, 2)), np.ones(8), metrics=[metric])
    metric.shape = (8, 2)
    with pytest.raises(ValueError, match=r"Own\.finish: expected a number, got shape \(2,\)"):
        model.evaluate(np.ones((8, 2)), np.ones(8), metrics=[metric])


# in training


@pytest.mark.parametrize("size", [None, 3])
def test_training_metrics_are_those_of_the_epochs_batches(size):
    """With rate 0, the training metrics are those of the training set, in batches and weighted."""
    x, y = mg.datasets.moons(100, noise=0.2, random_state=0)
    weights = np.random.default_rng(0).random(100)
    model = mg.Sequential(
        [mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0, ensemble_size=size
    )
    metrics = [mg.Accuracy(), mg.F1(), mg.AUC(), mg.LogLoss(), mg.CalibrationError(5)]
    options = {"batch_size": 32, "epochs": 2, "metrics": metrics, "verbose": 0}
    history = model.fit(x, y, optimizer=mg.SGD(0.0), sample_weight=weights, **options)
    expected = model.evaluate(x, y, sample_weight=weights, metrics=metrics)
    for metric in metrics:
        for value in history[metric.name]:
            assert_allclose(value, expected[metric.name], rtol=1e-5)
            assert np.shape(value) == (() if size is None else (size,))
