"""What users give to a model is never written to, whatever their own classes do with it."""

import contextlib

import numpy as np
import pytest

import mlpgrad as mg

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X @ [[1.0], [-2.0], [0.5]]
WEIGHTS = np.linspace(0.5, 1.5, 20)


class InPlace(mg.Activation):
    """Correct, but for the array that it overwrites."""

    def apply(self, z, out):
        z *= 2
        out[...] = z

    def slope(self, z, a, out):
        out.fill(2.0)


class WritesTarget(mg.MeanSquaredError):
    def forward(self, prediction, target, weights=None):
        target -= prediction
        return float(np.mean(target**2))


class Writes(mg.Metric):
    name = "writes"

    def __init__(self, which=0):
        self.which = which

    def values(self, prediction, target, loss):
        written = (prediction, target)[self.which]
        written -= (target, prediction)[self.which]
        return (written**2).mean(axis=-1)


def network(layers=(), loss=None, size=None):
    layers = [*layers, mg.Dense(3, 1)]
    loss = loss or mg.MeanSquaredError()
    return mg.Sequential(layers, loss=loss, random_state=0, dtype="float64", ensemble_size=size)


def fit(model, x, y, weights=None, **options):
    model.fit(
        x, y, optimizer=mg.SGD(0.1), epochs=1, batch_size=20, sample_weight=weights, verbose=0,
        validation_data=(x, y), **options,
    )  # fmt: skip


CALLS = {
    "fit": fit,
    "evaluate": lambda model, x, y, w: model.evaluate(x, y, sample_weight=w),
    "backpropagate": lambda model, x, y, w: model.backpropagate(x, y, sample_weight=w),
    "input_gradient": lambda model, x, y, w: model.input_gradient(x, y, sample_weight=w),
    "hessian": lambda model, x, y, w: model.hessian(x, y, sample_weight=w),
    "per_example_gradients": lambda model, x, y, w: model.per_example_gradients(x, y),
    "objective": lambda model, x, y, w: model.objective(x, y, sample_weight=w)(model.params),
    "LBFGS": lambda model, x, y, w: model.fit(x, y, optimizer=mg.LBFGS(), epochs=1, verbose=0),
    "predict": lambda model, x, y, w: model.predict(x),
    "jacobian": lambda model, x, y, w: model.jacobian(x),
    "check": lambda model, x, y, w: mg.check_gradients(model, x, y),
    "explain": lambda model, x, y, w: str(mg.explain(model, x[0], y[0])),
}


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("makes", ["layer", "loss"])
def test_a_class_of_ones_own_cannot_change_them(makes, call, size):
    given = [X.copy(), Y.copy(), WEIGHTS.copy()]
    layers, loss = ([InPlace()], None) if makes == "layer" else ([], WritesTarget())
    with contextlib.suppress(TypeError, ValueError):  # such as "output array is read-only"
        CALLS[call](network(layers, loss, size), *given)
    for array, before in zip(given, (X, Y, WEIGHTS), strict=True):
        np.testing.assert_array_equal(array, before)


def test_between_layers_a_layer_may_work_in_place():
    model, other = network([mg.Dense(3, 3), InPlace()]), network([mg.Dense(3, 3), InPlace()])
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    fit(model, X, Y)


@pytest.mark.parametrize("which", [0, 1], ids=["prediction", "target"])
@pytest.mark.parametrize("call", ["fit", "evaluate"])
def test_a_metric_cannot_change_what_others_measure(which, call):
    y, metrics = Y.copy(), [Writes(which), mg.R2()]
    use = fit if call == "fit" else mg.Sequential.evaluate
    with pytest.raises(ValueError, match=r"Writes\.values writes to prediction or target") as told:
        use(network(), X, y, metrics=metrics)
    np.testing.assert_array_equal(y, Y)
    assert "prediction - target in place of prediction -= target" in str(told.value)


def returning(values, finish=None, called="odd"):
    class Odd(mg.Metric):
        name = called

        def values(self, prediction, target, loss):
            return values(prediction[..., 0])

        def finish(self, means):
            return means if finish is None else finish(means)

    return Odd()


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (returning(lambda p: p * 1j), "Odd.values: expected real numbers, got .*complex128"),
        (returning(lambda p: np.full(p.shape, "a")), "Odd.values: expected real numbers, got"),
        (returning(lambda p: None), "Odd.values: expected real numbers, got None"),
        (returning(abs, lambda means: None), "Odd.finish: expected real numbers, got None"),
        (returning(abs, str), "Odd.finish: expected real numbers, got '"),
        (returning(abs, lambda means: means * 1j), "Odd.finish: expected real numbers, got"),
        (returning(abs, called=None), "expects a name, got None; set the attribute name of its"),
    ],
)
def test_a_metric_that_gives_no_number_is_told_so(metric, message):
    with pytest.raises(TypeError, match=message):
        network().evaluate(X, Y, metrics=[metric])
