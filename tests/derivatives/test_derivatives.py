"""Derivatives beyond the gradient agree with differences for every layer and loss, or raise."""

import numpy as np
import pytest

import mlpgrad as mg
from tests.derivatives.cases import MIXING, RANDOM, every_case, modes, penalised
from tests.kinds import layer_case, one_and_many


def in_prediction_mode(model):
    """A copy whose training steps compute the predictions of the model."""
    from mlpgrad.derivatives.modes import set_mode

    twin = model.copy()
    set_mode(twin, training=False)
    return twin


def gradient_of(model, training):
    """params -> gradient of the objective."""
    twin = model.copy() if training else in_prediction_mode(model)

    def gradient(params, x, y, weights=None):
        twin.params = params
        twin.backpropagate(x, y, sample_weight=weights)
        return twin.grads.copy()

    return gradient


def richardson(f, h):
    """df/dt at 0 by differences, with an error of order h^4."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def test_dropout_and_batch_norm_say_what_they_are():
    assert {mg.BatchNorm} == MIXING
    assert mg.Dropout in RANDOM


@every_case
@one_and_many
def test_the_gradients_of_samples_are_those_of_batches_of_one(case, cls, size):
    model, x, y = penalised(case, cls, size)
    members = [model] if size is None else [model.member(i) for i in range(size)]
    for training in modes(cls):
        found = model.per_example_gradients(x, y, training=training)
        assert found.shape == (*model.lead, len(x), model.params.shape[-1])
        for member, rows in zip(members, found if size else [found], strict=True):
            gradient = gradient_of(member, training)
            for row, a, b in zip(rows, x, y, strict=True):
                expected = gradient(member.params, a[None], b[None])
                np.testing.assert_allclose(row, expected, rtol=1e-12, atol=1e-13)
        norms = model.per_example_gradient_norms(x, y, training=training)
        np.testing.assert_allclose(norms, np.linalg.norm(found, axis=-1), rtol=1e-10, atol=1e-7)


@one_and_many
def test_without_parameters_the_gradients_are_empty_and_their_norms_0(size):
    model = mg.Sequential([mg.Tanh()], loss=mg.MeanSquaredError(), ensemble_size=size)
    x, y = np.ones((3, 2)), np.zeros((3, 2))
    assert model.per_example_gradients(x, y).shape == (*model.lead, 3, 0)
    np.testing.assert_array_equal(
        model.per_example_gradient_norms(x, y), np.zeros((*model.lead, 3))
    )


@every_case
@one_and_many
def test_with_weights_their_mean_is_the_gradient(case, cls, size):
    model, x, y = penalised(case, cls, size)
    weights = np.random.default_rng(2).uniform(0, 2, (*model.lead, len(x)))
    for training in modes(cls):
        rows = model.per_example_gradients(x, y, sample_weight=weights, training=training)
        expected = gradient_of(model, training)(model.params, x, y, weights)
        np.testing.assert_allclose(rows.mean(axis=-2), expected, rtol=1e-12, atol=1e-13)
        norms = model.per_example_gradient_norms(x, y, sample_weight=weights, training=training)
        np.testing.assert_allclose(norms, np.linalg.norm(rows, axis=-1), rtol=1e-10, atol=1e-7)


@every_case
@one_and_many
def test_the_jacobian_is_that_of_the_predictions(case, cls, size):
    model, x, _ = case(cls, size=size)
    twin = model.copy()
    v = np.random.default_rng(3).normal(size=model.params.shape)
    found = model.jacobian(x)
    assert found.shape == (*model.predict(x).shape, model.params.shape[-1])

    def moved(t):
        twin.params = model.params + t * v
        return twin.predict(x)

    along = np.einsum("...bop,...p->...bo", found, v)
    np.testing.assert_allclose(along, richardson(moved, 1e-4), rtol=1e-7, atol=1e-9)
    u = np.random.default_rng(4).normal(size=x.shape)
    found = model.jacobian(x, to="inputs")
    assert found.shape == (*model.predict(x).shape, x.shape[-1])
    along = np.einsum("...boi,bi->...bo", found, u)
    expected = richardson(lambda t: model.predict(x + t * u), 1e-4)
    np.testing.assert_allclose(along, expected, rtol=1e-7, atol=1e-9)


@every_case
@one_and_many
def test_the_product_with_the_hessian_is_a_difference_of_gradients(case, cls, size):
    model, x, y = penalised(case, cls, size)
    v = np.random.default_rng(3).normal(size=model.params.shape)
    weights = np.random.default_rng(2).uniform(0.1, 2, (*model.lead, len(x)))
    for training in modes(cls):
        gradient = gradient_of(model, training)
        product = model.hessian_vector_product(x, y, v, sample_weight=weights, training=training)
        expected = richardson(lambda t, f=gradient: f(model.params + t * v, x, y, weights), 1e-5)
        np.testing.assert_allclose(product, expected, rtol=1e-6, atol=1e-8)


def test_the_library_s_own_checker_agrees():
    model, x, y = layer_case(mg.Residual)
    model.loss = mg.Huber(0.7)
    objective = model.objective(x, y)

    def product(params, v):
        twin = model.copy()
        twin.params = params
        return twin.hessian_vector_product(x, y, v)

    assert mg.check_hvp(objective, product, model.params)
    row = np.random.default_rng(0).normal(size=x.shape[-1])

    def vjp(at, v):
        return v @ model.jacobian(at[None], to="inputs")[0]

    assert mg.check_vjp(lambda at: model.predict(at[None])[0], vjp, row)


@pytest.mark.parametrize("cls", sorted(RANDOM | MIXING, key=lambda cls: cls.__name__))
@pytest.mark.parametrize(
    "name", ["per_example_gradients", "per_example_gradient_norms", "hessian_vector_product"]
)
def test_what_has_no_derivative_is_refused_with_the_reason(cls, name):
    model, x, y = layer_case(cls)
    arguments = (x, y, model.params) if name == "hessian_vector_product" else (x, y)
    reason = "chance" if cls.is_random else "the other samples of its batch"
    with pytest.raises(ValueError, match=f"{name} cannot .* layer 0 .* depends on {reason}; write"):
        getattr(model, name)(*arguments)
    assert np.isfinite(getattr(model, name)(*arguments, training=False)).all()


class Absolute(mg.Activation):
    """|z| in its usual form, which drops imaginary parts."""

    def apply(self, z, out):
        out[...] = np.abs(z) ** 3

    def slope(self, z, a, out):
        out[...] = 3 * np.abs(z) * z


class Refusing(mg.Activation):
    """Calls a function that does not take complex numbers."""

    def apply(self, z, out):
        out[...] = np.cbrt(1 + z * z)

    def slope(self, z, a, out):
        out[...] = 2 / 3 * z / a**2


class Careful(mg.Activation):
    """z^2 by operations that keep imaginary parts."""

    def apply(self, z, out):
        np.multiply(z, z, out)

    def slope(self, z, a, out):
        np.multiply(2, z, out)


def smooth(activation):
    layers = [mg.Dense(3, 4), activation(), mg.Dense(4, 2)]
    return mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)


@pytest.mark.parametrize("activation", [Absolute, Refusing])
def test_a_layer_that_breaks_in_complex_numbers_is_told_so_and_served(activation):
    model = smooth(activation)
    rng = np.random.default_rng(0)
    x, y, v = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), rng.normal(size=model.params.size)
    with pytest.warns(mg.TrainingWarning, match=rf"{activation.__name__}\(\) cannot be"):
        product = model.hessian_vector_product(x, y, v)
    gradient = gradient_of(model, True)
    expected = richardson(lambda t: gradient(model.params + t * v, x, y), 1e-3)
    np.testing.assert_allclose(product, expected, rtol=1e-7, atol=1e-9)


def test_a_layer_that_keeps_imaginary_parts_is_exact():
    model = smooth(Careful)
    x, y = np.random.default_rng(0).normal(size=(2, 4, 3))
    v = np.ones(model.params.size)
    product = model.hessian_vector_product(x, y[:, :2], v)
    assert product @ v == pytest.approx(
        richardson(lambda t: gradient_of(model, True)(model.params + t * v, x, y[:, :2]) @ v, 1e-4),
        rel=1e-9,
    )


def test_an_exact_kink_is_no_reason_to_doubt():
    # the bias is 0 and a row of x is 0: differences of gradients jump, complex steps do not
    layers = [mg.Dense(2, 4), mg.ReLU(), mg.Dense(4, 1)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)
    x, y = mg.datasets.xor()
    ones = np.ones(model.params.size)
    product = model.hessian_vector_product(x, y, ones)
    # the slope at the kink is 0, whatever the direction
    np.testing.assert_array_equal(model.hessian_vector_product(x, y, -ones), -product)
    others = model.hessian_vector_product(x[1:], y[1:], ones, training=True)
    delta = model.jacobian(x[:1])[0, 0]
    expected = (3 * others + delta * (delta @ ones)) / 4
    np.testing.assert_allclose(product, expected, atol=1e-14)


def test_vectors_of_any_size_are_served():
    model, x, y = layer_case(mg.Tanh)
    model = mg.Sequential([mg.Dense(5, 5), mg.Tanh()], loss=mg.HalfSquaredError(), dtype="float64")
    v = np.ones(model.params.size)
    product = model.hessian_vector_product(x, y, v)
    for size in (1e-250, 1e200, 1e300):
        scaled = model.hessian_vector_product(x, y, size * v)
        np.testing.assert_allclose(scaled / size, product, rtol=1e-12)
    assert not model.hessian_vector_product(x, y, 0 * v).any()


def test_a_float32_model_is_lifted():
    model = mg.Sequential([mg.Dense(5, 5), mg.Tanh()], loss=mg.HalfSquaredError(), random_state=0)
    x, y = np.random.default_rng(0).normal(size=(2, 6, 5))
    v = np.ones(model.params.size)
    product = model.hessian_vector_product(x, y, v)
    assert product.dtype == np.float64
    np.testing.assert_allclose(
        product, model.lifted("float64").hessian_vector_product(x, y, v), rtol=1e-12
    )
    assert model.per_example_gradients(x, y).dtype == np.float32


def test_nothing_of_the_model_changes_but_what_a_step_shows():
    model, x, y = layer_case(mg.BatchNorm)
    before = model.snapshot()
    model.per_example_gradients(x, y, training=False)
    model.hessian_vector_product(x, y, model.params, training=False)
    model.jacobian(x)
    for name in ("params", "state"):
        np.testing.assert_array_equal(model.snapshot()[name], before[name])
    assert all(layer.training for layer in model.layers)


class Watcher(mg.Layer):
    """Passes its input on, and notes its own mode and that of the model's layer."""

    def forward(self, x):
        self.seen.append((self.training, self.of_model().training))
        return x

    def backward(self, delta):
        return delta


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x, y: model.jacobian(x),
        lambda model, x, y: model.jacobian(x, to="inputs"),
        lambda model, x, y: model.per_example_gradients(x, y, training=False),
        lambda model, x, y: model.per_example_gradient_norms(x, y, training=False),
    ],
)
def test_the_mode_of_the_models_layers_is_never_switched(call):
    watcher = Watcher()
    watcher.seen, watcher.of_model = [], lambda: watcher
    model = mg.Sequential([mg.Dense(3, 2), watcher], loss=mg.HalfSquaredError())
    call(model, np.ones((4, 3)), np.ones((4, 2)))
    assert set(watcher.seen) == {(False, True)}


def test_bad_arguments_are_answered():
    model, x, y = layer_case(mg.Dense)
    with pytest.raises(ValueError, match="to expects 'parameters' or 'inputs', got 'weights'"):
        model.jacobian(x, to="weights")
    with pytest.raises(ValueError, match="v expects shape"):
        model.hessian_vector_product(x, y, np.ones(3))
    with pytest.raises(TypeError, match="training expects True or False"):
        model.per_example_gradients(x, y, training="no")


def test_the_complex_forms_of_tanh_and_the_normal_law_are_those_of_numpy_and_scipy():
    from scipy.special import ndtr

    from mlpgrad.layers.activations.formulas import complex_tanh, normal_cdf

    rng = np.random.default_rng(0)
    z = 3 * rng.normal(size=300) + 10j * rng.normal(size=300)
    out = np.empty_like(z)
    complex_tanh(z, out)
    np.testing.assert_allclose(out, np.tanh(z), rtol=1e-14)
    for size in (1e-30, 1e-9, 1.0):
        near = np.linspace(-6, 6, 300) + 1j * size * rng.uniform(-0.9, 0.9, 300)
        normal_cdf(near, out)
        np.testing.assert_allclose(out.real, ndtr(near).real, rtol=1e-13)
        np.testing.assert_allclose(out.imag, ndtr(near).imag, rtol=1e-11)


@pytest.mark.parametrize("loss", [mg.HalfSquaredError(), mg.GaussianNLL(), mg.Quantile([0.2, 0.8])])
@one_and_many
def test_with_scaled_targets_the_jacobian_is_in_their_unit(loss, size):
    model = mg.Sequential(
        [mg.Standardize(3), mg.Dense(3, 2)],
        loss=loss, target_scaling="standard", ensemble_size=size, random_state=0,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    x = 100 * rng.normal(size=(20, 3))
    y = 1e3 + 50 * rng.normal(size=(20, loss.target_features(2)))
    with pytest.raises(ValueError, match="not been fitted"):
        model.jacobian(x)
    with pytest.raises(ValueError, match="not been fitted"):
        model.hessian_vector_product(x, y, model.params)
    with pytest.raises(ValueError, match="not been fitted"):
        model.per_example_gradients(x, y)
    model.fit_scaling(x, y)
    model = model.lifted("float64")
    u = rng.normal(size=x.shape)
    expected = richardson(lambda t: model.predict(x + t * u), 1e-2)
    found = np.einsum("...boi,bi->...bo", model.jacobian(x, to="inputs"), u)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)
    v = rng.normal(size=model.params.shape)
    twin = model.copy()

    def moved(t):
        twin.params = model.params + t * v
        return twin.predict(x)

    found = np.einsum("...bop,...p->...bo", model.jacobian(x), v)
    np.testing.assert_allclose(found, richardson(moved, 1e-3), rtol=1e-6, atol=1e-6)
    gradient = gradient_of(model, True)
    expected = richardson(lambda t: gradient(model.params + t * v, x, y), 1e-3)
    product = model.hessian_vector_product(x, y, v)
    np.testing.assert_allclose(product, expected, rtol=1e-6, atol=1e-9)
    rows, grads = model.per_example_gradients(x, y), gradient(model.params, x, y)
    np.testing.assert_allclose(rows.mean(axis=-2), grads, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", [mg.HalfSquaredError(), mg.GaussianNLL(), mg.Quantile([0.2, 0.8])])
@one_and_many
@pytest.mark.parametrize("to", ["parameters", "inputs"])
def test_a_mean_far_above_the_deviation_leaves_the_jacobian_its_digits(loss, size, to):
    model = mg.Sequential(
        [mg.Dense(3, 2)], loss=loss, target_scaling="standard", ensemble_size=size,
        dtype="float64", random_state=0,
    )  # fmt: skip
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(9, loss.target_features(2)))
    scaled = mg.Sequential([mg.Dense(3, 2)], loss=loss, ensemble_size=size, dtype="float64")
    scaled.params = model.params
    model.fit_scaling(x, 1e9 + 1e-3 * y)
    deviation = np.asarray(model.scaling_of_targets.mean_and_deviation()[1])[0]
    units = [*deviation, 1.0] if isinstance(loss, mg.GaussianNLL) else deviation * np.ones(2)
    expected = np.reshape(units, (2, 1)) * scaled.jacobian(x, to=to)
    np.testing.assert_allclose(model.jacobian(x, to=to), expected, rtol=1e-12)
