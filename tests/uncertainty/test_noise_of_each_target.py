"""Laplace approximations with a noise of each target: closed forms of linear regression."""

import numpy as np
import pytest
from scipy import stats

import mlpgrad as mg

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = X @ [[1.0], [-2.0], [0.5]] + 0.3 + 0.4 * RNG.normal(size=(60, 1))
DESIGN = np.hstack([X, np.ones((60, 1))])  # the order of the parameters of a Dense layer
NEW = RNG.normal(size=(7, 3)) * 3


def posteriors(alpha, noise):
    """The covariance of the weights of each column of a linear model with two targets."""
    return [np.linalg.inv(DESIGN.T @ DESIGN / s**2 + alpha * np.eye(4)) for s in noise]


@pytest.mark.parametrize("layers", ["all", "last"])
def test_of_two_targets_it_is_bayesian_linear_regression_of_each(layers):
    # with one prior for both; the noise of one is a hundredth of that of the other
    rng = np.random.default_rng(1)
    both = np.hstack([Y, 100 * rng.normal(size=(60, 1))])
    model = mg.Sequential([mg.Dense(3, 2)], loss=mg.MeanSquaredError(), dtype="float64")
    for _ in range(30):  # weights, and precisions at these weights, in turn
        found = model.laplace(X, both, layers=layers)
        open_ = posteriors(found.prior_precision, found.noise)
        means = [
            part @ DESIGN.T @ y / s**2
            for part, y, s in zip(open_, both.T, found.noise, strict=True)
        ]
        model.params = np.stack(means, axis=1).ravel()
    squares = np.square(both - DESIGN @ np.stack(means, axis=1)).sum(axis=0)
    gamma = [4 - found.prior_precision * np.trace(part) for part in open_]
    np.testing.assert_allclose(found.noise**2, squares / (60 - np.array(gamma)), rtol=1e-6)
    assert found.effective_parameters == pytest.approx(sum(gamma), rel=1e-6)
    model.laplace(X, both, layers=layers)
    new = np.hstack([NEW, np.ones((7, 1))])
    spread = [np.einsum("ni,ij,nj->n", new, part, new) for part in open_]
    std = model.predict(NEW, std=True).std
    np.testing.assert_allclose(std**2, found.noise**2 + np.stack(spread, 1), rtol=1e-6)

    def evidence(alpha, noise):
        joint = [s**2 * np.eye(60) + DESIGN @ DESIGN.T / alpha for s in noise]
        return sum(
            stats.multivariate_normal(cov=cov).logpdf(y)
            for cov, y in zip(joint, both.T, strict=True)
        )

    best = evidence(found.prior_precision, found.noise)
    assert found.log_evidence == pytest.approx(best, rel=1e-8)
    for factor in (0.9, 1.1):
        for k in range(2):
            noise = found.noise.copy()
            noise[k] *= factor
            assert evidence(found.prior_precision, noise) < best
        assert evidence(factor * found.prior_precision, found.noise) < best


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("scaling", [None, "standard"])
def test_the_rows_of_each_target_count_by_its_own_noise(size, scaling):
    rng = np.random.default_rng(1)
    both = np.hstack([Y, 5 * rng.normal(size=(60, 1))])
    weights = rng.uniform(0.5, 2, 60)
    model = mg.Sequential(
        [mg.Dense(3, 6), mg.Tanh(), mg.Dense(6, 2)], loss=mg.MeanSquaredError(), dtype="float64",
        random_state=0, ensemble_size=size, target_scaling=scaling,
    )  # fmt: skip
    model.fit(X, both, optimizer=mg.Adam(0.03), epochs=300, verbose=0)
    model.laplace(X, both, sample_weight=7 * weights)
    one = model if size is None else model.member(1)
    found = one.uncertainty
    unit = both.std(axis=0) if scaling else np.ones(2)
    jacobian = one.jacobian(X) / (unit[:, None] if scaling else 1.0)
    rows = jacobian * np.sqrt(weights / weights.mean())[:, None, None]
    parts = [rows[:, k].T @ rows[:, k] / found.noise[k] ** 2 for k in range(2)]
    covariance = np.linalg.inv(sum(parts) + found.prior_precision * np.eye(one.params.size))
    np.testing.assert_allclose(found.factor @ found.factor.T, covariance, rtol=1e-6, atol=1e-9)
    errors = np.square((one.predict(X) - both) / unit)
    gamma = np.array([np.trace(covariance @ part) for part in parts])
    expected = np.average(errors, axis=0, weights=weights) * 60 / (60 - gamma)
    np.testing.assert_allclose(found.noise**2, expected, rtol=1e-5)
    assert found.noise[1] > 2 * found.noise[0]  # so that one number for both would be wrong


def test_a_target_that_is_fitted_exactly_leaves_the_other_as_it_is():
    model = mg.Sequential([mg.Dense(3, 2)], loss=mg.MeanSquaredError(), dtype="float64")
    both = np.hstack([Y, np.zeros((60, 1))])
    alone = mg.Sequential([mg.Dense(3, 1)], loss=mg.MeanSquaredError(), dtype="float64")
    alone.params = np.linalg.lstsq(DESIGN, Y[:, 0], rcond=None)[0]
    model.params = np.stack([alone.params, np.zeros(4)], axis=1).ravel()
    found = model.laplace(X, both, prior_precision=1.0)
    assert 0 < found.noise[1] < 1e-6
    alone.laplace(X, Y, prior_precision=1.0)
    np.testing.assert_allclose(
        model.predict(NEW, std=True).std[:, 0], alone.predict(NEW, std=True).std[:, 0], rtol=1e-4
    )


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("scaling", [None, "standard"])
@pytest.mark.parametrize("method", ["laplace", "evidence"])
def test_a_row_of_weight_0_leaves_no_trace_whatever_its_target(targets, scaling, method):
    y = np.hstack([Y, X[:, :1] + Y])[:, :targets]
    model = mg.Sequential(
        [mg.Dense(3, targets)], loss=mg.MeanSquaredError(), dtype="float64", random_state=0,
        target_scaling=scaling,
    )  # fmt: skip
    without = model.copy()
    rows = np.vstack([X, X[:1]]), np.vstack([y, np.full((1, targets), 1e9)])
    weights = np.append(np.ones(60), 0.0)
    fit = mg.LevenbergMarquardt() if method == "evidence" else mg.LBFGS()
    model.fit(*rows, sample_weight=weights, optimizer=fit, epochs=60, verbose=0)
    without.fit(X, y, optimizer=fit, epochs=60, verbose=0)
    if method == "laplace":
        model.laplace(*rows, sample_weight=weights)
        without.laplace(X, y)
    np.testing.assert_allclose(
        model.predict(NEW, std=True).std, without.predict(NEW, std=True).std, rtol=1e-6
    )
