"""No false alarms and no blind spots: sizes, minima, kinks, float16, and random numbers."""

import numpy as np
import pytest

import mlpgrad as mg
from benchmarks.gradcheck_hard import FAMILIES, counted

pytestmark = pytest.mark.slow

SEEDS = range(8)


def verdict(f, grad, params, **options):
    return mg.check_gradient(f, grad, params, **options).verdict.value


def one_wrong(grad, factor=1.01):
    """The gradient with an error in its largest element."""

    def wrong(p):
        g = np.array(grad(p), float)
        g.flat[int(np.abs(g).argmax())] *= factor
        return g

    return wrong


@pytest.mark.parametrize(("low", "high"), [(-3, 3), (-6, 6), (-9, 9), (-9, 0), (0, 9), (-6, 0)])
@pytest.mark.parametrize("own_scale", [True, False])
def test_elements_of_many_sizes_in_one_array(low, high, own_scale):
    sizes = 10.0 ** np.linspace(low, high, 7)
    scale = sizes if own_scale else np.maximum(sizes, 1.0)

    def f(p):
        return float(np.sum(np.sin(p / scale)))

    def grad(p):
        return np.cos(p / scale) / scale

    for seed in SEEDS:
        p = np.random.default_rng(seed).normal(size=7) * sizes
        assert verdict(f, grad, p, seed=seed) == "PASS"
        assert verdict(f, one_wrong(grad), p, seed=seed) == "FAIL"
        assert verdict(f, lambda p: -grad(p), p, seed=seed) == "FAIL"


def test_arrays_of_many_sizes():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        params = {c: c * rng.normal(size=3) for c in (1e-9, 1e-3, 1.0, 1e6)}

        def grad(p, factor=1.0):
            return {c: np.cos(a / c) / c * (factor if c == 1e-9 else 1) for c, a in p.items()}

        def f(p):
            return float(sum(np.sin(a / c).sum() for c, a in p.items()))

        assert verdict(f, grad, params, seed=seed) == "PASS"
        assert verdict(f, lambda p: grad(p, 1.001), params, seed=seed) == "FAIL"


@pytest.mark.parametrize("away", [0.0, 1e-10, 1e-7, 1e-4])
@pytest.mark.parametrize("minimum", [1.0, 1e3, 1e-3])
def test_at_a_minimum_and_beside_it(away, minimum):
    def f(p):
        return float(np.sum((p - minimum) ** 2))

    for seed in SEEDS:
        p = minimum * (1 + away * np.random.default_rng(seed).normal(size=8))
        assert verdict(f, lambda p: 2 * (p - minimum), p, seed=seed) == "PASS"
        assert verdict(f, lambda p: 2.1 * (p - minimum), p, seed=seed) == "FAIL"
        assert verdict(f, lambda p: 2 * (p - minimum) + 1e-6 * minimum, p, seed=seed) == "FAIL"


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_parameters_far_smaller_than_the_scale_of_the_function(size):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x, w = size * rng.normal(size=5), rng.normal(size=5)
        for factor, expected in ((1, "PASS"), (2, "FAIL"), (1.01, "FAIL")):
            found = verdict(
                lambda x, w=w: float(np.sum(w * np.cos(x))),
                lambda x, w=w, c=factor: -c * w * np.sin(x),
                x,
                seed=seed,
            )
            assert found == expected


class BiasOff(mg.Dense):
    """The gradient of the bias is wrong by 1e-4."""

    def backward(self, delta):
        below = super().backward(delta)
        self.grads.bias[...] *= 1.0001
        return below


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-13, 1e-20])
@pytest.mark.parametrize("dense", [mg.Dense, BiasOff])
@pytest.mark.parametrize("activation", [mg.Tanh, mg.ReLU])
def test_biases_that_training_has_brought_close_to_zero(size, dense, activation):
    """Evidence fits shrink biases so far that steps of their size would detect nothing."""
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        layers = [dense(3, 6), activation(), mg.Dense(6, 1)]
        model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=seed)
        for layer in (layers[0], layers[2]):
            layer.params.bias[...] = size * rng.normal(size=layer.out_features)
        report = mg.check_gradients(model, rng.normal(size=(30, 3)), rng.normal(size=30), seed=seed)
        assert report.verdict.value == ("PASS" if dense is mg.Dense else "FAIL")


@pytest.mark.parametrize("method", ["auto", "coordinates"])
@pytest.mark.parametrize("others", [0, 1, 6])
def test_at_a_kink_only_what_lies_between_its_slopes_is_accepted(method, others):
    rng = np.random.default_rng(0)
    weights, shift = rng.uniform(0.5, 2, 1 + others), rng.normal(size=1 + others)
    point = np.concatenate([[0.0], rng.normal(size=others)])

    def f(p):
        return float(np.sum(weights * np.abs(p) + shift * p))

    def gradient(at_zero):
        return lambda p: np.where(p == 0, at_zero, weights * np.sign(p)) + shift

    width = weights[0]
    for inside in (-width, -0.5 * width, 0.3 * width, width):
        assert verdict(f, gradient(inside), point, method=method) in ("KINK", "PASS")
    for outside in (-1000.0, -3 * width, 1.01 * width, 3 * width, 1000.0):
        assert verdict(f, gradient(outside), point, method=method) == "FAIL"


def test_a_kink_outside_its_slopes_among_many_inside():
    point = np.zeros(20)
    gradient = np.zeros(20)
    assert verdict(lambda p: float(np.abs(p).sum()), lambda p: np.sign(p) + gradient, point)
    wrong = gradient.copy()
    wrong[7] = 1.2
    report = mg.check_gradient(
        lambda p: float(np.abs(p).sum()), lambda p: np.where(p == 0, wrong, np.sign(p)), point
    )
    assert report.verdict.value == "FAIL"
    assert "params[7] is at a kink: 1.2 is outside [-1, 1]" in str(report)


def test_one_percent_in_a_float16_function():
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a = rng.normal(size=(8, 8)).astype(np.float16)

        def f(p, a=a):
            return float(np.sum(np.tanh(a @ p.astype(np.float16))))

        def grad(p, a=a):
            return (a.T @ (1 - np.tanh(a @ p.astype(np.float16)) ** 2)).astype(float)

        p = rng.normal(size=8)
        assert verdict(f, grad, p, seed=seed) == "PASS"
        assert verdict(f, lambda p: 1.01 * grad(p), p, seed=seed) == "FAIL"
        assert verdict(f, one_wrong(grad, 1.03), p, seed=seed) == "FAIL"


@pytest.mark.parametrize("decimals", [3, 6])
def test_a_function_that_is_rounded_is_judged_at_its_own_resolution(decimals):
    def f(p):
        return round(float(np.sin(p).sum()), decimals)

    for seed in SEEDS:
        p = np.random.default_rng(seed).normal(size=8)
        assert verdict(f, np.cos, p, seed=seed) in ("PASS", "INCONCLUSIVE")
        assert verdict(f, lambda p: 1.02 * np.cos(p), p, seed=seed) == "FAIL"


def test_directions_are_not_the_data_of_the_caller():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, matrix = rng.normal(size=4), rng.normal(size=(4, 4))
        report = mg.check_vjp(lambda b: b @ a, lambda b, v: np.outer(a, v), matrix, seed=seed)  # noqa: B023
        assert report.verdict.value == "FAIL"
        hvp = mg.check_hvp(
            lambda x: matrix @ x + matrix.T @ x,  # noqa: B023
            lambda x, v: 2 * matrix @ v,  # noqa: B023
            a,
            seed=seed,
        )
        assert hvp.verdict.value == "FAIL"


# after a NaN, in float32, and parts that were not checked


def test_a_nan_does_not_hide_the_rest():
    def grad(p):
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"x": np.prod(p["x"]) / p["x"], "y": p["y"], "z": np.cos(p["z"])}

    report = mg.check_gradient(
        lambda p: float(np.prod(p["x"]) + np.sum(p["y"] ** 2) + np.sin(p["z"]).sum()),
        grad,
        {"x": np.array([0.0, 2.0, 3.0]), "y": np.ones(4), "z": np.arange(3.0)},
    )
    assert report.verdict.value == "NAN"
    assert [t.verdict.value for t in report.tensors] == ["NAN", "FAIL", "PASS"]
    culprit = report.culprits[0]
    assert culprit.name == "params['x'][0]"
    assert np.isnan(culprit.analytic)
    np.testing.assert_allclose(culprit.numeric, 6, rtol=1e-9)


def test_cancellation_in_float32_is_a_mistake_where_float64_has_none():
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        x, w = (1e-4 * rng.normal(size=5)).astype(np.float32), rng.normal(size=5)

        def f(x, w=w):
            return float(np.sum(w * np.sinc(np.asarray(x, np.float64) / np.pi)))

        def naive(x, w=w):
            return ((np.cos(x) - np.sin(x) / x) / x * w.astype(x.dtype)).astype(x.dtype)

        def series(x, w=w):
            return ((-x / 3 + x**3 / 30) * w.astype(x.dtype)).astype(x.dtype)

        assert verdict(f, naive, x, seed=seed) == "FAIL"
        assert verdict(f, series, x, seed=seed) == "PASS"


class Returned(mg.Activation):
    """Returns its result instead of writing it."""

    def apply(self, z, out):
        return np.tanh(z)

    def slope(self, z, a, out):
        np.subtract(1, a * a, out=out)


class ReturnedSlope(mg.Tanh):
    def slope(self, z, a, out):
        return 1 - a * a


class ReturnedLoss(mg.HalfSquaredError):
    def slopes(self, prediction, target, out):
        return prediction - target


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda: mg.check_layer(Returned()), "apply of the layer Returned() returns its result"),
        (lambda: mg.check_layer(ReturnedSlope()), "slope of the layer ReturnedSlope() returns"),
        (lambda: mg.check_loss(ReturnedLoss()), "slopes of the loss ReturnedLoss() returns"),
    ],
)
def test_a_result_that_is_returned_instead_of_written_is_named(check, text):
    report = check()
    assert report.verdict.value == "NOT_WRITTEN"
    assert list(report.protocol) == ["NOT_WRITTEN"]
    assert text in str(report)


def test_the_first_layer_of_ones_own_is_named_as_unchecked():
    class Own(mg.BatchNorm):
        def backward(self, delta):
            return super().backward(delta)

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)), rng.normal(size=(8, 3))
    for kind, named in ((Own, True), (mg.BatchNorm, False)):
        model = mg.Sequential([kind(4), mg.Dense(4, 3)], loss=mg.MeanSquaredError(), random_state=0)
        report = mg.check_gradients(model, x, y)
        assert any("dL/dx of layers[0]" in text for text in report.warnings) == named


@pytest.mark.parametrize("name", FAMILIES)
def test_hard_functions(name):
    correct, wrong = counted(FAMILIES[name], range(3))
    assert set(correct) <= {"PASS", "KINK"}, correct
    assert set(wrong) <= {"FAIL", "INCONCLUSIVE"}, wrong


@pytest.mark.parametrize(
    ("at_zero", "accepted"), [(0.0, True), (0.7, True), (1.0, True), (3.0, False)]
)
def test_activations_and_losses_at_a_kink(at_zero, accepted):
    class Rectifier(mg.Activation):
        def apply(self, z, out):
            np.maximum(z, 0.0, out=out)

        def slope(self, z, a, out):
            out[...] = np.where(z == 0, at_zero, z > 0)

    class Absolute(mg.Loss):
        def losses(self, prediction, target):
            return np.abs(prediction - target).sum(axis=-1)

        def slopes(self, prediction, target, out):
            off = prediction - target
            out[...] = np.where(off == 0, at_zero, np.sign(off))

    x = np.random.default_rng(0).normal(size=(6, 5))
    x[1, 2] = x[4, 0] = 0
    assert bool(mg.check_layer(Rectifier(), x)) == accepted
    assert bool(mg.check_loss(Absolute(), x, np.zeros_like(x))) == accepted
