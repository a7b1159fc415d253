"""Each result is shown beside a baseline: the best constant prediction."""

import re

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import LOSSES, every, loss_case

R = np.random.default_rng(0)
X = R.normal(size=(60, 3))
CLASSES = np.repeat([0, 1, 2], [10, 35, 15])
NUMBERS = X @ [[1.0, 0.0], [-2.0, 1.0], [0.5, 3.0]] + R.normal(size=(60, 2))


def classifier(outputs=3, size=None):
    loss = mg.SoftmaxCrossEntropy() if outputs > 1 else mg.SigmoidCrossEntropy()
    return mg.Sequential([mg.Dense(3, outputs)], loss=loss, random_state=0, ensemble_size=size)


def regression(size=None, **options):
    options = {"loss": mg.MeanSquaredError(), "random_state": 0} | options
    return mg.Sequential([mg.Dense(3, 2)], ensemble_size=size, **options)


@pytest.mark.parametrize("size", [None, 3])
def test_the_accuracy_stands_beside_that_of_the_largest_class(size):
    found = classifier(size=size).evaluate(X, CLASSES)
    np.testing.assert_allclose(found["baseline_accuracy"], 35 / 60)
    weights = np.where(CLASSES == 2, 10.0, 1.0)
    weighted = classifier(size=size).evaluate(X, CLASSES, sample_weight=weights)
    np.testing.assert_allclose(weighted["baseline_accuracy"], 150 / 195)
    assert "ensemble_baseline_accuracy" not in found


def test_one_output_has_two_classes():
    assert classifier(1).evaluate(X, CLASSES > 0)["baseline_accuracy"] == pytest.approx(50 / 60)
    shares = np.eye(3)[CLASSES]
    assert classifier().evaluate(X, shares)["baseline_accuracy"] == pytest.approx(35 / 60)


def test_a_guess_reaches_what_is_said():
    model = classifier()
    model.params = 0
    model.layers[0].params.bias[1] = 1  # always class 1
    found = model.evaluate(X, CLASSES)
    assert found["accuracy"] == found["baseline_accuracy"]
    model = regression(dtype="float64")
    model.params = 0
    model.layers[0].params.bias[...] = NUMBERS.mean(axis=0)
    assert model.evaluate(X, NUMBERS)["r2"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scaling", [None, "standard"])
def test_numbers_have_r2(scaling):
    model = regression(dtype="float64", target_scaling=scaling)
    y = NUMBERS if scaling is None else 1e3 * NUMBERS + 1e6
    model.fit(X, y, optimizer=mg.Adam(0.1), epochs=20, verbose=0)
    errors = np.square(model.predict(X) - y).sum(axis=0)
    expected = 1 - (errors / np.square(y - y.mean(axis=0)).sum(axis=0)).mean()
    assert model.evaluate(X, y)["r2"] == pytest.approx(expected)


def test_what_has_no_such_guess_is_measured_as_before():
    labels = np.c_[CLASSES > 0, CLASSES > 1].astype(int)
    model = mg.Sequential([mg.Dense(3, 2)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    assert set(model.evaluate(X, labels)) == {"loss", "accuracy"}  # each label separately
    assert set(regression().evaluate(X[:1], NUMBERS[:1])) == {"loss"}
    assert set(regression().evaluate(X, NUMBERS, metrics=[])) == {"loss"}


def test_quantiles_without_the_median_are_evaluated_by_their_loss():
    model = mg.Sequential(
        [mg.Dense(3, 2)], loss=mg.Quantile([0.1, 0.9]), random_state=0, ensemble_size=2
    )
    assert set(model.evaluate(X, NUMBERS[:, 0])) == {"loss", "ensemble_loss"}
    fold = {"folds": True, "optimizer": mg.Adam(0.1), "epochs": 2, "verbose": 0}
    assert set(model.fit(X, NUMBERS[:, 0], **fold).oof_scores) == {"loss"}
    with pytest.raises(TypeError, match="add the level"):
        model.evaluate(X, NUMBERS[:, 0], metrics=[mg.R2()])


@every(LOSSES)
def test_every_loss_is_evaluated_with_what_it_defines(cls):
    model, x, target = loss_case(cls)
    found = model.evaluate(x, target)
    assert found.keys() - {"loss", "accuracy", "baseline_accuracy", "r2"} == set()
    assert ("accuracy" in found) == model.loss.classifies
    assert all(np.isfinite(value).all() for value in found.values())


def shown(capsys, model, y, **options):
    """The text in brackets in the line of the last epoch."""
    options = {"optimizer": mg.Adam(0.1), "epochs": 2, "validation_split": 0.25} | options
    history = model.fit(X, y, **options)
    lines = capsys.readouterr().err.splitlines()
    return re.findall(r"val_(\w+) (\S+) \((.*?): (\S+)\)", lines[-1]), history


@pytest.mark.parametrize("size", [None, 3])
def test_the_progress_line_shows_the_largest_class_and_the_mean(capsys, size):
    ((name, value, guess, reaches),), history = shown(capsys, classifier(size=size), CLASSES)
    assert (name, guess) == ("accuracy", "largest class")
    assert float(value) == pytest.approx(np.mean(history["val_accuracy"][-1]), rel=1e-3)
    assert float(reaches) == pytest.approx(9 / 15, abs=0.05)  # each class in proportion
    held_out = X[:20], NUMBERS[:20], np.linspace(0, 1, 20)
    options = {"validation_split": 0.0, "validation_data": held_out}
    ((name, _, guess, reaches),), _ = shown(capsys, regression(size), NUMBERS, **options)
    assert (name, guess) == ("loss", "mean")
    mean = np.average(NUMBERS[:20], axis=0, weights=held_out[2])
    squares = np.square(NUMBERS[:20] - mean).mean(axis=1)
    assert float(reaches) == pytest.approx(np.average(squares, weights=held_out[2]), rel=1e-3)


def test_without_validation_data_nothing_stands_in_brackets(capsys):
    found, _ = shown(capsys, classifier(), CLASSES, validation_split=0.0)
    assert found == []
