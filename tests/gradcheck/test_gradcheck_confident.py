"""Saturated networks in float32: differences to 1 lose digits, and are not wrong for that."""

import numpy as np
import pytest

import mlpgrad as mg


def confident(loss, last, size, seed):
    """A correct network whose largest number before the last activation is `size`, with its rows.

    The targets are what it predicts, so that little is left of the gradient.
    """
    layers = [mg.Dense(4, 6), mg.Tanh(), mg.Dense(6, 3), *last]
    model = mg.Sequential(layers, loss=loss, random_state=seed)
    x = np.random.default_rng(seed).normal(size=(5, 4))
    classes = type(loss) in (mg.SoftmaxCrossEntropy, mg.CrossEntropy)
    model.backpropagate(x, np.zeros(5, int) if classes else np.zeros((5, 3)))
    model.layers[2].params.weights[...] *= size / np.abs(model.layers[2].outputs).max()
    prediction = model.predict(x)
    if classes:
        return model, x, prediction.argmax(axis=1)
    if isinstance(last[-1], mg.Tanh):
        return model, x, np.sign(prediction)
    return model, x, (prediction > 0.5) * 1.0


CASES = {
    "softmax": (mg.SoftmaxCrossEntropy, ()),
    "probabilities": (mg.CrossEntropy, (mg.Softmax,)),
    "binary": (mg.BinaryCrossEntropy, (mg.Sigmoid,)),
    "sigmoid": (mg.HalfSquaredError, (mg.Sigmoid,)),
    "tanh": (mg.HalfSquaredError, (mg.Tanh,)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_confident_network_does_not_fail(name):
    loss, last = CASES[name]
    for size in (8, 12, 16, 24, 32):
        for seed in range(8):
            model, x, y = confident(loss(), [layer() for layer in last], size, seed)
            report = mg.check_gradients(model, x, y)
            assert report.verdict.value in ("PASS", "INCONCLUSIVE"), f"{size} {seed} {report}"


class WrongInFloat32(mg.Dense):
    """The gradient of the bias is wrong by one per cent, in float32 only."""

    def backward(self, delta):
        back = super().backward(delta)
        if delta.dtype == np.float32:
            self.grads.bias *= np.float32(1.01)
        return back


@pytest.mark.parametrize("size", [1, 4, 8, 12])
def test_a_mistake_in_float32_of_a_confident_network_fails(size):
    for seed in range(8):
        model, x, y = confident(mg.SoftmaxCrossEntropy(), [], size, seed)
        layers = [WrongInFloat32(4, 6), mg.Tanh(), mg.Dense(6, 3)]
        wrong = mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy())
        wrong.params = model.params
        report = mg.check_gradients(wrong, x, y)
        assert [t.name for t in report.tensors if t.verdict.value == "FAIL"] == ["layers[0].bias"]


@pytest.mark.parametrize("factor", [1.0, 1.01], ids=["correct", "wrong"])
def test_a_function_that_is_confident_in_float32(factor):
    """The log-loss of a softmax, as other libraries compute it."""
    for size, seed in [(size, seed) for size in (4, 8, 10) for seed in range(8)]:
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=(6, 4)).astype("f4"), rng.normal(size=(4, 3)).astype("f4")
        w *= np.float32(size / np.abs(x @ w).max())
        y = (x @ w).argmax(axis=1)

        def shares(w, x=x):
            e = np.exp(x @ w - (x @ w).max(axis=1, keepdims=True))
            return e / e.sum(axis=1, keepdims=True)

        def f(w, y=y):
            return float(-np.log(shares(w)[np.arange(6), y]).mean(dtype=np.float64))

        def gradient(w, x=x, y=y):
            return (x.T @ (shares(w) - np.eye(3, dtype="f4")[y]) / w.dtype.type(6)) * (
                w.dtype.type(factor if w.dtype == np.float32 else 1)
            )

        report = mg.check_gradient(f, gradient, w, seed=seed)
        assert report.verdict.value == ("FAIL" if factor > 1 else "PASS"), f"{size} {report}"


def saturated(bias, layer, seed):
    """A network whose first units are saturated: float32 has no digit of their slopes."""
    layers = [layer(3, 4), mg.Sigmoid(), mg.Dense(4, 5), mg.ReLU(), mg.Dense(5, 2)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), random_state=seed)
    model.layers[0].params.bias[...] = bias
    return model, np.random.default_rng(seed).normal(size=(6, 3)), np.ones((6, 2))


@pytest.mark.parametrize("bias", [*range(10, 44, 2), -40, -90])
def test_saturated_units_do_not_fail(bias):
    for seed in range(8):
        report = mg.check_gradients(*saturated(bias, mg.Dense, seed))
        assert report.verdict.value in ("PASS", "KINK", "INCONCLUSIVE"), str(report)


class NotZeroInFloat32(mg.Dense):
    """The gradient of the bias is that of another network, in float32 only."""

    def backward(self, delta):
        back = super().backward(delta)
        if delta.dtype == np.float32:
            self.grads.bias += np.float32(1e-3)
        return back


@pytest.mark.parametrize("bias", [0.0, 20.0, 40.0])
def test_a_mistake_in_float32_before_saturated_units_fails(bias):
    for seed in range(8):
        report = mg.check_gradients(*saturated(bias, NotZeroInFloat32, seed))
        assert [t.name for t in report.tensors if t.verdict.value == "FAIL"] == ["layers[0].bias"]


CANCELS = {  # f in float64, a gradient that cancels in float32, one that does not, and the range
    "expm1": (np.expm1, lambda x: np.expm1(x) + x.dtype.type(1), np.exp, (-22, -17.5)),
    "x - sin x": (
        lambda x: x - np.sin(x),
        lambda x: 1 - np.cos(x),
        lambda x: 2 * np.sin(x / 2) ** 2,
        (1e-5, 1e-4),
    ),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2, lambda x: np.cosh(x) ** -2, (10, 12)),
}


@pytest.mark.parametrize("name", CANCELS)
def test_a_gradient_that_cancels_in_float32_fails_whatever_the_second_point(name):
    """There its error may be a small part, which rounding of the formula explains."""
    function, wrong, right, limits = CANCELS[name]
    for seed in range(40):
        x = np.random.default_rng(seed).uniform(*limits, 5).astype(np.float32)

        def f(x):
            return float(np.sum(function(np.asarray(x, np.float64))))

        assert mg.check_gradient(f, wrong, x, seed=seed).verdict.name == "FAIL", seed
        assert mg.check_gradient(f, right, x, seed=seed).verdict.name == "PASS", seed
