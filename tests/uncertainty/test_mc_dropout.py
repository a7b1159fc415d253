"""MC dropout: passes with active Dropout, compared with all possible masks."""

import itertools

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import every_dtype

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 2))


def network(loss=None, size=None, dtype="float64", outputs=1, rate=0.5):
    layers = [mg.Dense(2, 3), mg.Tanh(), mg.Dropout(rate), mg.Dense(3, outputs)]
    loss = loss or mg.MeanSquaredError()
    return mg.Sequential(layers, loss=loss, random_state=0, ensemble_size=size, dtype=dtype)


def every_mask(model, x):
    """The outputs for each of the 2^3 equally likely masks, computed by hand."""
    first, last = model.layers[0].params, model.layers[3].params
    hidden = np.tanh(x @ first.weights + first.bias)
    masks = np.array([*itertools.product([0, 2], repeat=3)], float)
    return np.stack([hidden * mask @ last.weights + last.bias for mask in masks])


def test_passes_have_the_mean_and_spread_of_all_masks():
    model, count = network(), 20_000
    outputs = every_mask(model, X)
    mean, std = model.predict(X, std=True, samples=count)
    error = outputs.std(axis=0) / count**0.5
    assert (abs(mean - outputs.mean(axis=0)) < 5 * error).all()
    np.testing.assert_allclose(std, outputs.std(axis=0), rtol=0.03)


def test_each_pass_is_one_of_the_masks_and_rows_have_their_own():
    model = network()
    drawn = model.predict(X, samples=40)
    assert drawn.shape == (40, 5, 1)
    outputs = every_mask(model, X)
    nearest = abs(drawn[:, None] - outputs[None]).min(axis=1)
    assert nearest.max() < 1e-12
    which = abs(drawn[:, None] - outputs[None]).argmin(axis=1)[..., 0]
    assert len({tuple(row) for row in which}) > 30
    assert (which != which[:, :1]).any()


def test_only_dropout_is_active():
    layers = [mg.Dense(2, 3), mg.BatchNorm(3), mg.Residual([mg.Dropout(0.4)]), mg.Dense(3, 1)]
    model = mg.Sequential(layers, loss=mg.MeanSquaredError(), random_state=0)
    model.fit(X, X[:, :1], optimizer=mg.SGD(0.1), epochs=3, verbose=0)
    state = model.state.copy()
    assert (model.predict(X, std=True, samples=20).std > 0).all()  # within a Residual, too
    np.testing.assert_array_equal(model.state, state)
    model.layers[2].layers[0].drop_probability = 0.0
    drawn = model.predict(X, samples=3)
    np.testing.assert_allclose(drawn, np.stack([model.predict(X)] * 3), rtol=1e-6)


def test_the_same_call_draws_the_same_and_moves_nothing():
    trainings = []
    for ask in (False, True):
        model = network()
        for _ in range(2):
            if ask:
                first, second = (model.predict(X, samples=7) for _ in range(2))
                np.testing.assert_array_equal(first, second)
            model.fit(X, X[:, :1], optimizer=mg.SGD(0.1), epochs=2, verbose=0)
        trainings.append(model.params.copy())
    np.testing.assert_array_equal(*trainings)
    np.testing.assert_array_equal(model.copy().predict(X, samples=7), model.predict(X, samples=7))


def test_more_passes_begin_with_the_same():
    # if the passes run together, with up to 1,024 rows at a time
    model = network()
    np.testing.assert_allclose(model.predict(X, samples=9)[0], model.predict(X, samples=1)[0])


@every_dtype
@pytest.mark.parametrize("rows", [1, 5, 1500])
@pytest.mark.parametrize("size", [None, 3])
def test_shapes_and_dtypes(dtype, rows, size):
    model = network(size=size, dtype=dtype)
    drawn = model.predict(RNG.normal(size=(rows, 2)), samples=4)
    assert drawn.shape == (4, *([size] if size else []), rows, 1)
    assert drawn.dtype == dtype
    if size:
        assert (drawn[:, 0] != drawn[:, 1]).any()


def test_many_rows_and_passes_have_masks_of_their_own():
    model = network()
    x = np.repeat(X[:1], 2500, axis=0)  # more rows than run at once
    drawn = model.predict(x, samples=3)
    shares = [np.unique(drawn[i].round(9)).size for i in range(3)]
    assert shares == [8, 8, 8]  # every mask occurs in every pass
    assert (drawn[0, :1024] != drawn[0, 1024:2048]).any()


def test_members_and_passes_are_one_mixture():
    model = network(mg.GaussianNLL(), size=3, outputs=2)
    drawn = model.predict(X, samples=6).reshape(18, 5, 2)
    mean, std = found = model.predict(X, std=True, samples=6)
    np.testing.assert_allclose(mean, drawn[..., :1].mean(axis=0))
    variance = np.exp(drawn[..., 1:]).mean(axis=0) + drawn[..., :1].var(axis=0)
    np.testing.assert_allclose(std**2, variance)
    assert found.includes_noise


def test_probabilities_and_classes():
    model = network(mg.SoftmaxCrossEntropy(), outputs=3)
    each = model.predict_proba(X, samples=50)
    assert each.shape == (50, 5, 3)
    mean = model.predict_proba(X, average=True, samples=50)
    np.testing.assert_allclose(mean, each.mean(axis=0))
    classes = model.predict_classes(X, average=True, samples=50)
    np.testing.assert_array_equal(classes, mean.argmax(axis=1))
    y = np.array([0, 1, 2, 0, 1])
    expected = np.log(mean[np.arange(5), y]).mean()
    assert model.log_likelihood(X, y, samples=50) == pytest.approx(expected)


@pytest.mark.parametrize("samples", [0, -1, 2.5, "100"])
def test_a_number_of_passes_is_an_int(samples):
    with pytest.raises(ValueError, match="samples expects an int >= 1"):
        network().predict(X, samples=samples)


def test_a_network_without_dropout_is_refused():
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0)
    with pytest.raises(ValueError, match=r"samples expects a network with Dropout.*Dropout\(0.1\)"):
        model.predict(X, std=True, samples=100)
