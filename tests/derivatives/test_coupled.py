"""Whatever needs samples that do not depend on one another, or real numbers, says so."""

import warnings

import numpy as np
import pytest

import mlpgrad as mg


class Centred(mg.Layer):
    """Mixes samples without declaring it, in predictions, too."""

    def __init__(self, features):
        self.features = features
        self.in_features = self.out_features = features

    def parameters(self):
        return {"shift": ((self.features,), mg.Zeros())}

    def forward(self, x):
        return self.moved(x) + self.params.shift[..., None, :]

    def moved(self, x):
        return x - x.mean(axis=-2, keepdims=True)

    def backward(self, delta):
        self.grads.shift[...] = delta.sum(axis=-2)
        return delta - delta.mean(axis=-2, keepdims=True)


class Jittered(Centred):
    """Draws random numbers without declaring it, in predictions, too."""

    def moved(self, x):
        return x + np.random.default_rng().normal(size=x.shape).astype(x.dtype)


class CentredInTraining(Centred):
    """Mixes samples in training alone."""

    def moved(self, x):
        return super().moved(x) if self.training else x


def made(layer, members=None, dtype="float64"):
    model = mg.Sequential(
        [mg.Dense(3, 4), mg.Tanh(), layer, mg.Dense(4, 2)],
        loss=mg.MeanSquaredError(),
        ensemble_size=members,
        dtype=dtype,
        random_state=0,
    )
    x, y = np.random.default_rng(0).normal(size=(2, 40, 3))
    return model, x, y[:, :2]


def fitted(method):
    return lambda model, x, y, training: model.fit(x, y, optimizer=method(), epochs=2, verbose=0)


IN_TRAINING = {
    "LevenbergMarquardt": fitted(mg.LevenbergMarquardt),
    "LBFGS": fitted(mg.LBFGS),
    "TrustNewton": fitted(mg.TrustNewton),
}
IN_PREDICTION = {
    "jacobian": lambda model, x, y, training: model.jacobian(x),
    "jacobian to inputs": lambda model, x, y, training: model.jacobian(x, to="inputs"),
    "laplace": lambda model, x, y, training: model.laplace(x, y),
    "laplace of the last layer": lambda model, x, y, training: model.laplace(x, y, layers="last"),
}
IN_BOTH = {
    "per_example_gradients": lambda model, x, y, training: model.per_example_gradients(
        x, y, training=training
    ),
    "per_example_gradient_norms": lambda model, x, y, training: model.per_example_gradient_norms(
        x, y, training=training
    ),
    "hessian": lambda model, x, y, training: model.hessian(x, y, training=training),
    "hessian_vector_product": lambda model, x, y, training: model.hessian_vector_product(
        x, y, model.params, training=training
    ),
    "curvature": lambda model, x, y, training: model.curvature(x, y, training=training),
}
CASES = [(name, call, True) for name, call in (IN_TRAINING | IN_BOTH).items()]
CASES += [(name, call, False) for name, call in (IN_PREDICTION | IN_BOTH).items()]
NAMES = [f"{name}-{'training' if training else 'prediction'}" for name, _, training in CASES]


@pytest.mark.parametrize("layer", [Centred, Jittered])
@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize(("name", "call", "training"), CASES, ids=NAMES)
def test_layers_that_mix_samples_or_draw_without_saying_so(name, call, training, members, layer):
    model, x, y = made(layer(4), members)
    before = model.params.copy()
    with pytest.raises(ValueError, match=r"other samples of (its|the) batch, or on chance") as said:
        call(model, x, y, training)
    assert (f"in {layer.__name__}(" in str(said.value)) != training
    np.testing.assert_array_equal(model.params, before)
    assert model.uncertainty is None


@pytest.mark.parametrize(("name", "call", "training"), CASES, ids=NAMES)
def test_layers_that_mix_samples_in_training_alone(name, call, training):
    model, x, y = made(CentredInTraining(4))
    if training:
        with pytest.raises(ValueError, match="other samples of its batch"):
            call(model, x, y, training)
    else:
        call(model, x, y, training)


@pytest.mark.parametrize("layer", [Centred, Jittered])
def test_a_layer_that_declares_it_is_named(layer):
    declared = type(layer.__name__, (layer,), {"mixes_samples": True})
    model, x, y = made(declared(4))
    with pytest.raises(ValueError, match=rf"layer 2 {layer.__name__}\("):
        model.hessian(x, y)


@pytest.mark.parametrize(
    "call",
    [
        lambda model, x, y: model.hessian(x, y),
        lambda model, x, y: model.hessian_vector_product(x, y, model.params.real),
        lambda model, x, y: model.curvature(x, y, "gauss_newton"),
        lambda model, x, y: model.laplace(x, y),
        lambda model, x, y: model.fit(x, y, optimizer=mg.LBFGS(), epochs=1, verbose=0),
    ],
    ids=["hessian", "hessian_vector_product", "curvature", "laplace", "fit"],
)
def test_complex_models_are_refused_and_the_advice_works(call):
    model, x, y = made(mg.Identity(), dtype="complex128")
    with pytest.raises(TypeError, match=r"real model, got complex128; use model.lifted\(float\)"):
        call(model, x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call(model.lifted(float), x, y)
