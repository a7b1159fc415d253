"""Levenberg-Marquardt with a noise of each target: closed forms of linear models."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import mlpgrad as mg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))


def fit(model, x, y, **options):
    method = mg.LevenbergMarquardt(**options)
    return model.fit(x, y, optimizer=method, epochs=500, verbose=0), method


@pytest.mark.parametrize("size", [None, 2])
def test_the_evidence_of_two_targets_is_the_closed_form_with_a_noise_each(size):
    y = X @ [[1.0, 3.0], [-0.5, 0.0], [0.2, 1.0]] + RNG.normal(size=(40, 2)) * [0.01, 3.0]
    model = mg.Sequential(
        [mg.Dense(3, 2, bias=False)], loss=mg.MeanSquaredError(), dtype="float64",
        random_state=0, ensemble_size=size,
    )  # fmt: skip
    history, method = fit(model, X, y, groups="all", mu=1e-10)
    alpha, state = float(method.state.alpha[-1, 0]), method.state
    variances = state.shares[-1] / state.beta[-1]

    def evidence(variances):
        laws = [multivariate_normal(cov=v * np.eye(40) + X @ X.T / alpha) for v in variances]
        return sum(law.logpdf(y[:, k]) for k, law in enumerate(laws))

    assert state.log_evidence[-1] == pytest.approx(evidence(variances), rel=1e-6)
    for k in range(2):
        for factor in (0.9, 1.1):
            other = np.where(np.arange(2) == k, factor, 1.0) * variances
            assert evidence(other) < evidence(variances)
    open_ = [np.linalg.inv(X.T @ X / v + alpha * np.eye(3)) for v in variances]
    means = [part @ X.T @ y[:, k] / variances[k] for k, part in enumerate(open_)]
    params = np.reshape(model.params, (-1, 3, 2))[-1]
    np.testing.assert_allclose(params, np.stack(means, axis=1), rtol=1e-5)
    one = model if size is None else model.member(1)
    spread = [np.einsum("bi,ij,bj->b", X, part, X) for part in open_]
    std = one.predict(X, std=True).std
    np.testing.assert_allclose(std**2, variances + np.stack(spread, axis=1), rtol=1e-3)
    assert one.uncertainty.log_evidence == pytest.approx(evidence(variances), abs=1e-3)
    # the history has the loss that the model was given
    assert history["loss"][-1] == pytest.approx(model.evaluate(X, y)["loss"])
    assert np.max(history["noise"][-1]) == pytest.approx(np.sqrt(variances.mean()))


@pytest.mark.parametrize("size", [None, 2])
def test_targets_have_a_noise_each(size):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    targets = x[:, [0, 1]] * [1.0, 1e6] + rng.normal(size=(400, 2)) * [2.0, 2e5]
    model = mg.Sequential(
        [mg.Dense(2, 2)], loss=mg.HalfSquaredError(), dtype="float64", random_state=0,
        ensemble_size=size, target_scaling="standard",
    )  # fmt: skip
    model.fit(x, targets, optimizer=mg.LevenbergMarquardt(), epochs=20, verbose=0)
    noise = np.atleast_2d(model.uncertainty.noise) * targets.std(axis=0)
    np.testing.assert_allclose(noise, [[2.0, 2e5]] * (size or 1), rtol=0.1)
    low, high = model.predict(x, interval=0.9)
    inside = ((low < targets) & (targets < high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.9, atol=0.04)
    np.testing.assert_allclose(
        model.laplace(x, targets).noise * targets.std(axis=0),
        noise.reshape(*model.lead, 2),
        rtol=0.01,
    )


def test_a_target_with_little_noise_is_fitted_closely_beside_one_with_much():
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, (150, 2))
    true = np.stack([np.sin(2 * x[:, 0]) + x[:, 1], x[:, 0] * x[:, 1]], axis=1)
    y = true + rng.normal(size=true.shape) * [0.01, 0.5]
    model = mg.Sequential(
        [mg.Dense(2, 12), mg.Tanh(), mg.Dense(12, 2)], loss=mg.MeanSquaredError(),
        random_state=0, target_scaling="standard",
    )  # fmt: skip
    fit(model, x, y)
    np.testing.assert_allclose(model.uncertainty.noise * y.std(axis=0), [0.01, 0.5], rtol=0.15)
    assert np.sqrt(np.square(model.predict(x) - true).mean(axis=0))[0] < 0.01


def test_a_target_that_is_fitted_exactly_leaves_the_noise_of_the_other_as_it_is():
    y = np.c_[X @ [1.0, -0.5, 0.2] + 0.3 * RNG.normal(size=40), X @ [1.0, 2.0, 3.0]]
    model = mg.Sequential(
        [mg.Dense(3, 2)], loss=mg.MeanSquaredError(), dtype="float64", random_state=0
    )
    fit(model, X, y)
    rows = np.c_[X, np.ones(40)]
    residuals = y[:, 0] - rows @ np.linalg.lstsq(rows, y[:, 0], rcond=None)[0]
    expected = np.sqrt(np.square(residuals).sum() / 36)
    np.testing.assert_allclose(model.uncertainty.noise[0], expected, rtol=0.02)
    assert model.uncertainty.noise[1] < 1e-5


def waves(seed):
    """Rows with a precise and a noisy target, and their expectations."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(100, 3))
    true = np.stack([np.sin(x.sum(axis=1)), x[:, 0] ** 2], axis=1)
    return x, true, true + rng.normal(size=(100, 2)) * [0.02, 0.5]


def network(seed, size=None):
    return mg.Sequential(
        [mg.Dense(3, 5), mg.Tanh(), mg.Dense(5, 2)], loss=mg.MeanSquaredError(), dtype="float64",
        random_state=seed, target_scaling="standard", ensemble_size=size,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_a_target_that_is_not_fitted_yet_is_not_taken_for_noise(seed):
    x, true, y = waves(seed)
    model = network(seed)
    fit(model, x, y)
    error = np.sqrt(np.square(model.predict(x) - true).mean(axis=0))
    assert error[1] < 0.7 < true[:, 1].std()


def test_noise_belongs_to_the_weights_that_early_stopping_has_put_back():
    (x, _, y), (other, true, _) = waves(0), waves(1)
    model = network(0, 4)
    history = model.fit(
        x, y, optimizer=mg.LevenbergMarquardt(), epochs=100, verbose=0,
        validation_data=(other, true[:, ::-1]), callbacks=[mg.EarlyStopping(60)],
    )  # fmt: skip
    epochs = np.argmin(history["val_loss"], axis=0)
    assert epochs.max() < history.epochs - 10
    squares = np.square((model.predict(x) - y) / y.std(axis=0)).mean(axis=1)
    ratio = model.uncertainty.noise**2 / squares  # n / (n - gamma) for n rows, and gamma < 32
    assert (ratio > 1).all()
    assert (ratio < 100 / (100 - 32)).all()


def test_a_training_continues_with_its_shares():
    x, _, y = waves(1)
    whole, part = network(1), network(1)
    fit(whole, x, y)
    method = mg.LevenbergMarquardt()
    part.fit(x, y, optimizer=method, epochs=50, verbose=0)
    assert (method.state.shares != 1).any()
    snapshot = method.snapshot()
    again = mg.LevenbergMarquardt()
    again.restore(snapshot)
    part.fit(x, y, optimizer=again, epochs=250, verbose=0)
    np.testing.assert_allclose(part.params, whole.params, rtol=1e-6)
