"""Initializers: moments and bounds of each law, orthogonality, and the default of Dense."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import mlpgrad as mg

FAN_IN, FAN_OUT = 300, 100
VARIANCES = {
    mg.GlorotUniform: 2 / (FAN_IN + FAN_OUT),
    mg.GlorotNormal: 2 / (FAN_IN + FAN_OUT),
    mg.HeUniform: 2 / FAN_IN,
    mg.HeNormal: 2 / FAN_IN,
    mg.LeCunUniform: 1 / FAN_IN,
    mg.LeCunNormal: 1 / FAN_IN,
}
RANDOM = [*VARIANCES, mg.Orthogonal]
each = pytest.mark.parametrize("cls", VARIANCES, ids=lambda cls: cls.__name__)


def draw(initializer, shape=(FAN_IN, FAN_OUT), seed=0):
    return initializer(np.random.default_rng(seed), shape)


@each
def test_moments_are_those_of_the_law(cls):
    w, variance = draw(cls()), VARIANCES[cls]
    assert w.dtype == np.float64
    assert abs(w.mean()) < 4 * np.sqrt(variance / w.size)
    assert_allclose(w.var(), variance, rtol=0.04)
    kurtosis = ((w - w.mean()) ** 4).mean() / w.var() ** 2
    assert_allclose(kurtosis, 1.8 if "Uniform" in cls.__name__ else 3.0, rtol=0.05)


@each
def test_uniform_laws_fill_their_interval(cls):
    bound = np.sqrt(3 * VARIANCES[cls])
    largest = abs(draw(cls())).max()
    if "Uniform" in cls.__name__:
        assert 0.999 * bound < largest <= bound
    else:
        assert largest > 1.5 * bound


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 5), (5, 1)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal_keeps_lengths(shape, gain):
    w = draw(mg.Orthogonal(gain), shape)
    assert w.shape == shape
    assert_allclose(np.linalg.svd(w, compute_uv=False), gain, rtol=1e-13)


def test_orthogonal_is_uniform_over_the_group():
    # a plain QR has diagonals of one sign; the trace of a uniform matrix has mean 0, variance 1
    rng = np.random.default_rng(0)
    traces = np.array([np.trace(mg.Orthogonal()(rng, (3, 3))) for _ in range(4000)])
    assert abs(traces.mean()) < 4 / np.sqrt(len(traces))
    assert_allclose(traces.var(), 1, atol=0.1)


@pytest.mark.parametrize("cls", RANDOM, ids=lambda cls: cls.__name__)
def test_draws_depend_on_the_generator_alone(cls):
    assert_array_equal(draw(cls(), seed=3), draw(cls(), seed=3))
    assert (draw(cls(), seed=3) != draw(cls(), seed=4)).all()
    assert draw(cls(), (7,)).shape == (7,)


def test_fixed_values():
    assert_array_equal(draw(mg.Zeros(), (2, 3)), np.zeros((2, 3)))
    assert_array_equal(draw(mg.Constant(0.25), (4,)), np.full(4, 0.25))
    assert repr(mg.Constant(0.25)) == "Constant(0.25)"


@pytest.mark.parametrize(
    ("following", "expected"),
    [
        ([mg.ReLU], mg.HeNormal()),
        ([mg.LeakyReLU], mg.HeNormal()),
        ([mg.SELU], mg.LeCunNormal()),
        ([mg.Tanh], mg.GlorotUniform()),
        ([lambda: mg.BatchNorm(FAN_OUT), mg.ReLU], mg.HeNormal()),
        ([lambda: mg.Dropout(0.1), mg.SELU], mg.LeCunNormal()),
        ([], mg.GlorotUniform()),
    ],
)
def test_dense_starts_as_the_activation_after_it_wants(following, expected):
    layers = [mg.Dense(FAN_IN, FAN_OUT), *(make() for make in following), mg.Dense(FAN_OUT, 1)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype="float64", random_state=0)
    rng = np.random.default_rng(np.random.SeedSequence(0).spawn(1)[0])
    assert_array_equal(model.layers[0].params.weights, expected(rng, (FAN_IN, FAN_OUT)))
    assert not model.layers[0].params.bias.any()


def test_a_given_initializer_wins():
    layers = [mg.Dense(2, 2, initializer=mg.Constant(3.0)), mg.ReLU()]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError())
    assert_array_equal(layers[0].params.weights, np.full((2, 2), 3.0))
    assert model.params.dtype == np.float32


@pytest.mark.parametrize(
    ("initialize", "message"),
    [
        (lambda: draw(mg.Constant("0.5")), r"Constant: value .*, got '0.5'; write 0.5 without"),
        (lambda: draw(mg.Constant(np.inf)), r"Constant: value expects a number .*, got inf"),
        (lambda: mg.Orthogonal("1"), r"Orthogonal: gain expects a number .*, got '1'; write 1"),
    ],
)
def test_a_value_that_is_no_number_is_refused(initialize, message):
    with pytest.raises(ValueError, match=message):
        initialize()
