"""`Noise` is estimated, kept with the model, and part of its answers."""

import copy
import pickle

import numpy as np
import pytest
from scipy import optimize, stats

import mlpgrad as mg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 2))
Y = X.sum(axis=1, keepdims=True) + RNG.normal(size=(300, 1)) * 0.7


def network(size=None, layers=(), outputs=1, dtype="float64"):
    layers = [mg.Dense(2, 8), mg.Tanh(), *layers, mg.Dense(8, outputs)]
    loss = mg.MeanSquaredError()
    return mg.Sequential(layers, loss=loss, random_state=0, ensemble_size=size, dtype=dtype)


def test_the_noise_of_one_network_is_its_root_mean_squared_error():
    model = network(outputs=2)
    y = np.hstack([Y, 100 * Y])
    found = mg.Noise.fit(model, X, y)
    errors = np.sqrt(np.square(model.predict(X) - y).mean(axis=0))
    np.testing.assert_allclose(found.std, errors)
    model.uncertainty = found
    mean, std = model.predict(X, std=True)
    np.testing.assert_allclose(std, np.broadcast_to(errors, std.shape))
    expected = stats.norm.logpdf(y, mean, std).sum(axis=1).mean()
    assert model.log_likelihood(X, y) == pytest.approx(expected)


@pytest.mark.parametrize("samples", [None, 20])
def test_where_networks_disagree_the_noise_is_the_likeliest(samples):
    model = network(size=5) if samples is None else network(layers=[mg.Dropout(0.3)])
    found = mg.Noise.fit(model, X, Y, samples=samples)

    def likelihood(std):
        model.uncertainty = mg.Noise(std)
        return model.log_likelihood(X, Y, samples=samples)

    best = optimize.minimize_scalar(lambda s: -likelihood(s), bounds=(0.01, 5), method="bounded")
    assert found.std == pytest.approx(best.x, rel=1e-3)
    model.uncertainty = None
    alone = model.predict(X, std=True, samples=samples).std
    model.uncertainty = found
    spread = model.predict(X, std=True, samples=samples)
    assert spread.includes_noise
    np.testing.assert_allclose(spread.std**2, alone**2 + found.std**2)


def test_it_is_kept_in_copies_and_files_and_dropped_by_a_fit(tmp_path):
    model = network(size=3)
    model.uncertainty = mg.Noise([0.5])
    model.save(tmp_path / "model.npz")
    for twin in (mg.load(tmp_path / "model.npz"), model.copy(), pickle.loads(pickle.dumps(model))):
        assert twin.uncertainty.std == 0.5
        np.testing.assert_array_equal(twin.predict(X, std=True), model.predict(X, std=True))
    assert copy.deepcopy(model).uncertainty is model.uncertainty
    assert model.member(1).uncertainty.std == 0.5
    assert model.member(1).tiled(3).uncertainty is None
    model.fit(X, Y, optimizer=mg.SGD(0.01), epochs=1, verbose=0)
    assert model.uncertainty is None


@pytest.mark.parametrize("std", [0, -1.0, np.nan, np.inf, [], [1.0, 0.0], [[1.0]]])
def test_a_noise_is_positive(std):
    with pytest.raises(ValueError, match="Noise expects a positive std"):
        mg.Noise(std)


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "message"),
    [
        (mg.GaussianNLL(), 2, [1.0, 0.0], "it predicts the noise itself"),
        (mg.Poisson(), 1, [1.0, 0.0], "it predicts the noise itself"),
        (mg.SoftmaxCrossEntropy(), 3, [1, 0], "its targets are classes"),
        (mg.SigmoidCrossEntropy(), 1, [1, 0], "its targets are classes"),
    ],
    ids=["GaussianNLL", "Poisson", "SoftmaxCrossEntropy", "SigmoidCrossEntropy"],
)
def test_a_loss_that_has_a_law_of_its_own_has_no_other_noise(loss, outputs, y, message, tmp_path):
    # its kurtosis would be used, and its standard deviation not
    model = mg.Sequential([mg.Dense(2, outputs)], loss=loss, random_state=0)
    known = model.log_likelihood(X[:2], y)
    model.uncertainty = mg.Noise(50.0, kurtosis=3.0)
    calls = [
        lambda: model.log_likelihood(X[:2], y),
        lambda: model.predict_proba(X) if loss.classifies else model.predict(X, std=True),
        lambda: model.save(tmp_path / "model.npz"),
    ]
    for call in calls:
        with pytest.raises(TypeError, match=f"{message}; leave model.uncertainty at None"):
            call()
    model.uncertainty = None
    assert model.log_likelihood(X[:2], y) == known


def test_what_does_not_belong_together_is_refused():
    model = network()
    with pytest.raises(TypeError, match="uncertainty expects"):
        model.uncertainty = 0.5
    model.uncertainty = mg.Noise([1.0, 2.0])
    with pytest.raises(ValueError, match="expects a model with 2 targets, got 1"):
        model.predict(X, std=True)
    classes = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy())
    with pytest.raises(TypeError, match="its targets are classes"):
        mg.Noise.fit(classes, X, np.zeros(300))
    laws = mg.Sequential([mg.Dense(2, 2)], loss=mg.GaussianNLL())
    with pytest.raises(TypeError, match="it predicts the noise itself"):
        mg.Noise.fit(laws, X, Y)
    with pytest.raises(ValueError, match="not all 0"):
        mg.Noise.fit(model.copy(), X, network().predict(X))


@pytest.mark.parametrize("size", [None, 4])
def test_heavy_tails_are_found_and_give_students_intervals(size):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4000, 2))
    freedom = 6
    noise = rng.standard_t(freedom, size=(4000, 1)) * 3
    model = network(size)
    center = model.predict(x, std=True).mean if size else model.predict(x)
    y = center + noise
    found = mg.Noise.fit(model, x, y)
    assert 4 + 6 / found.kurtosis == pytest.approx(freedom, rel=0.25)
    model.uncertainty = found
    low, high = model.predict(x, interval=0.5)
    assert np.mean((low <= y) & (y <= high)) == pytest.approx(0.5, abs=0.03)
    normal = mg.Noise.fit(model, x, center + 3 * rng.normal(size=(4000, 1)))
    assert normal.kurtosis == 0
    assert mg.Noise(**found.config()).config() == found.config()


def test_the_noise_of_one_network_has_students_law():
    model = network()
    model.uncertainty = mg.Noise(2.0, kurtosis=1.5)
    law = stats.t(4 + 6 / 1.5, scale=2.0 * np.sqrt(6 / 8))
    low, high = model.predict(X, interval=0.9)
    center = model.predict(X)
    np.testing.assert_allclose((low - center), law.ppf(0.05), rtol=1e-9)
    np.testing.assert_allclose((high - center), law.ppf(0.95), rtol=1e-9)
    expected = law.logpdf(Y - center).mean()
    assert model.log_likelihood(X, Y) == pytest.approx(expected)


def test_an_unknown_option_of_the_fit_is_told_the_known_ones():
    with pytest.raises(TypeError, match="fit has no option 'sample'; did you mean 'samples'"):
        mg.Noise.fit(network(), X, Y, sample=3)


def test_a_variance_that_float64_cannot_hold_is_refused():
    for std in (1e200, 1e-200):
        with pytest.raises(ValueError, match="positive std"):
            mg.Noise(std)
    with pytest.raises(
        ValueError, match="Noise: kurtosis expects one number, or one for each of 2"
    ):
        mg.Noise([1.0, 2.0], [0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="Noise: kurtosis expects"):
        mg.Noise(1.0, kurtosis=-0.5)


@pytest.mark.parametrize("scaled", ["inputs", "targets"])
def test_it_is_dropped_when_a_scaling_is_fitted_again(scaled):
    first = [mg.Standardize(2)] if scaled == "inputs" else []
    model = mg.Sequential(
        [*first, mg.Dense(2, 1)], loss=mg.MeanSquaredError(), random_state=0,
        target_scaling="standard" if scaled == "targets" else None,
    )  # fmt: skip
    model.fit_scaling(X, Y)
    model.uncertainty = mg.Noise.fit(model, X, Y)
    model.fit_scaling(100 * X, 100 * Y)
    assert model.uncertainty is None
