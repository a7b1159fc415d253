"""Results of layers and losses that do not fit, and arguments of their checks."""

import re

import numpy as np
import pytest

import mlpgrad as mg

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))


class Cube(mg.Layer):
    """x^3, of which `forward` or `backward` may be spoilt."""

    def __init__(self, features):
        self.in_features = self.out_features = self.features = features
        self.spoilt = {}

    def forward(self, x):
        self._x = x
        return self.spoilt.get("forward", lambda out: out)(x**3)

    def backward(self, delta):
        return self.spoilt.get("backward", lambda out: out)(3 * self._x**2 * delta)


SPOILT = {
    "None": (lambda out: None, "SHAPE", r"None: is a return missing\? expected an array of shape"),
    "a list": (lambda out: out.tolist(), "SHAPE", r"returns \[.*; expected an array of shape"),
    "a tuple": (lambda out: (out,), "SHAPE", r"returns \(.*; expected an array of shape"),
    "one number": (lambda out: out.sum(), "SHAPE", r"; expected an array of shape \(6, 4\)"),
    "one column": (lambda out: out[:, :1], "SHAPE", r"shape \(6, 1\); expected .* \(6, 4\)"),
    "one row": (lambda out: out.mean(0, keepdims=True), "SHAPE", r"\(1, 4\); expected .* \(6, 4\)"),
    "float32": (lambda out: out.astype("f4"), "DTYPE", r"returns float32, .* use `self\.dtype`"),
    "integers": (lambda out: out.astype(int), "DTYPE", r"returns int64, .* use `self\.dtype`"),
}


@pytest.mark.parametrize("in_model", [False, True], ids=["layer", "model"])
@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize("name", SPOILT)
def test_a_result_of_a_layer_that_does_not_fit_is_named(name, method, in_model):
    """It had ended in an error of NumPy, or as noise of the function."""
    spoil, verdict, text = SPOILT[name]
    cube = Cube(4)
    cube.spoilt = {method: spoil}
    if in_model:
        layers = [mg.Dense(3, 4), cube, mg.Dense(4, 2)]
        model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
        report, called = mg.check_gradients(model, X, Y), "layers[1]"
    else:
        report, called = mg.check_layer(cube), "the layer"
    assert list(report.protocol) == [verdict]
    assert f"{method} of {called} Cube" in str(report)
    assert re.search(text, str(report)), str(report)


def test_a_layer_whose_results_fit_is_not_named():
    assert mg.check_layer(Cube(4)).verdict.value == "PASS"


class Changing(mg.MeanSquaredError):
    """Changes the prediction in one of its methods."""

    method = "losses"

    def losses(self, prediction, target):
        found = super().losses(prediction, target)
        prediction += self.method == "losses"
        return found

    def slopes(self, prediction, target, out):
        super().slopes(prediction, target, out)
        prediction += self.method == "slopes"


@pytest.mark.parametrize("method", ["losses", "slopes"])
def test_a_loss_that_changes_the_prediction_is_named(method):
    loss = Changing()
    loss.method = method
    model = mg.Sequential([mg.Dense(3, 2)], loss=loss, random_state=0)
    for report in (mg.check_loss(loss, Y, 2 * Y), mg.check_gradients(model, X, Y)):
        assert report.verdict.value == "MUTATES_INPUT", str(report)
        assert "the loss Changing() changes its prediction" in str(report)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mg.check_loss(mg.MeanSquaredError(), Y), TypeError, "prediction without target"),
        (
            lambda: mg.check_loss(mg.MeanSquaredError(), target=Y),
            TypeError,
            "target without prediction; give both, or neither",
        ),
        (
            lambda: mg.check_loss(mg.BinaryCrossEntropy(), 2 + Y[:, :1] ** 2, [0, 1, 1, 0, 0, 1]),
            ValueError,
            "expects probabilities from 0 to 1 as its prediction, got 2.*sigmoid",
        ),
        (lambda: mg.assert_gradients(mg.Dense), TypeError, r"got the class Dense; write Dense\("),
        (lambda: mg.assert_gradients(mg.Tanh), TypeError, r"got the class Tanh; write Tanh\("),
    ],
    ids=["no target", "no prediction", "no probabilities", "a class", "an activation's class"],
)
def test_arguments_that_cannot_be_checked(call, error, message):
    with pytest.raises(error, match=message):
        call()
