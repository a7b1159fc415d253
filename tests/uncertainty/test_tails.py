"""Noise with heavy tails: Student's law agrees with SciPy's, and is part of the answers."""

import numpy as np
import pytest
from scipy import integrate, stats

import mlpgrad as mg
from mlpgrad.uncertainty.law import Law
from mlpgrad.uncertainty.tails import half_width, kurtosis_of, log_density

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("freedom", [5, 8, 30])
def test_density_and_quantiles_are_those_of_students_law(freedom):
    errors = np.linspace(-6, 6, 25)
    law = stats.t(freedom, scale=1.7)
    variance, kurtosis = np.array(law.var()), np.array(6 / (freedom - 4))
    np.testing.assert_allclose(
        log_density(errors, variance, kurtosis), law.logpdf(errors), rtol=1e-10
    )
    for level in (0.5, 0.95):
        assert half_width(level, variance, kurtosis) == pytest.approx(law.interval(level)[1])


def test_no_excess_is_the_normal_law():
    errors, variance = np.linspace(-6, 6, 25), np.array(2.0)
    law = stats.norm(scale=2**0.5)
    np.testing.assert_allclose(log_density(errors, variance, np.zeros(25)), law.logpdf(errors))
    assert half_width(0.9, variance, np.array(0.0)) == pytest.approx(law.interval(0.9)[1])
    small = log_density(errors, variance, np.array(2e-4))  # almost normal
    np.testing.assert_allclose(small, law.logpdf(errors), atol=0.02)


def test_the_kurtosis_is_found_again_in_any_unit():
    errors = RNG.standard_t(8, size=(20_000, 1))
    found = kurtosis_of(errors, None)
    assert found == pytest.approx(6 / 4, rel=0.2)
    assert kurtosis_of(1e-9 * errors, None) == pytest.approx(found, rel=1e-4)
    both = np.hstack([errors, 1e6 * errors])
    np.testing.assert_allclose(kurtosis_of(both, None), [found.item()] * 2, rtol=1e-4)


def test_normal_errors_stay_normal():
    assert kurtosis_of(RNG.normal(size=(20_000, 1)), None) == 0
    assert kurtosis_of(RNG.uniform(-1, 1, size=(500, 1)), None) == 0
    assert kurtosis_of(np.zeros((20, 1)), None) == 0


def test_a_row_of_weight_2_counts_as_two():
    errors = RNG.standard_t(5, size=(4000, 1))
    weights = RNG.integers(0, 3, size=(4000, 1)).astype(float)
    repeated = errors[:, 0].repeat(weights[:, 0].astype(int))[:, None]
    found = kurtosis_of(errors, weights)
    assert found > 1
    assert found == pytest.approx(kurtosis_of(repeated, None), rel=1e-4)
    assert kurtosis_of(errors, 7 * weights) == pytest.approx(found, rel=1e-6)  # they are relative


def rows(count, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 2))
    return x, x @ [[1.0], [-2.0]] + 0.5 * rng.standard_t(4.5, size=(count, 1))


def fitted(method, **options):
    x, y = rows(600, 0)
    model = mg.Sequential(
        [mg.Dense(2, 1)],
        loss=mg.HalfSquaredError(), target_scaling="standard", random_state=0, dtype="float64",
        **options,
    )  # fmt: skip
    model.fit(x, y, optimizer=mg.LevenbergMarquardt(), epochs=20, verbose=0)
    if method == "laplace":
        model.laplace(x, y)
    return model


@pytest.mark.parametrize("method", ["evidence", "laplace"])
@pytest.mark.parametrize("size", [None, 2])
def test_predictions_are_of_the_law_that_was_found(method, size):
    model = fitted(method, ensemble_size=size)
    known = model.uncertainty
    assert known.kurtosis.shape == ((1,) if size is None else (2, 1))
    assert (known.kurtosis > 0.5).all()
    assert f"kurtosis={known.kurtosis.mean():.2g}" in repr(known)
    at = [[0.3, -1.0]]

    def density(target):
        return np.exp(model.log_likelihood(at, [[target]]))

    mean, std = (float(part.item()) for part in model.predict(at, std=True))
    low, high = (float(part.item()) for part in model.predict(at, interval=0.95))
    far = mean - 400 * std, mean + 400 * std
    points = {"points": [low, mean, high], "limit": 200}
    assert integrate.quad(density, *far, **points)[0] == pytest.approx(1, abs=1e-4)
    assert integrate.quad(density, low, high)[0] == pytest.approx(0.95, abs=1e-3)
    second = integrate.quad(lambda t: (t - mean) ** 2 * density(t), *far, **points)[0]
    assert second == pytest.approx(std**2, rel=0.02)


def of_two_targets(method, size=None):
    """Models of a target with heavy tails beside a normal one, each also alone."""
    x, heavy = rows(600, 0)
    y = np.hstack([heavy, x @ [[1.0], [1.0]] + 0.5 * RNG.normal(size=(600, 1))])
    found = []
    for targets in (y, y[:, :1], y[:, 1:]):
        model = mg.Sequential(
            [mg.Dense(2, targets.shape[-1])], loss=mg.HalfSquaredError(), random_state=0,
            target_scaling="standard", dtype="float64", ensemble_size=size,
        )  # fmt: skip
        fit = mg.LevenbergMarquardt() if method == "evidence" else mg.LBFGS()
        model.fit(x, targets, optimizer=fit, epochs=60, verbose=0)
        if method == "laplace":
            model.laplace(x, targets)
        if method == "noise":
            model.uncertainty = mg.Noise.fit(model, x, targets)
        found.append(model)
    return found


@pytest.mark.parametrize("method", ["evidence", "laplace", "noise"])
@pytest.mark.parametrize("size", [None, 2])
def test_heavy_tails_of_one_target_leave_the_law_of_the_other(method, size, tmp_path):
    both, *each = of_two_targets(method, size)
    at = np.array([[0.3, -1.0], [2.0, 1.0]])
    for level in (0.5, 0.8, 0.99):
        alone = np.concatenate([model.predict(at, interval=level) for model in each], axis=-1)
        np.testing.assert_allclose(both.predict(at, interval=level), alone, rtol=0.03)
    heavy = np.reshape(both.uncertainty.kurtosis, (-1, 2))
    assert (heavy[:, 0] > 0.5).all()
    assert (heavy[:, 1] == 0).all()
    together = sum(model.log_likelihood(at, [[0.0], [9.0]]) for model in each)
    assert both.log_likelihood(at, [[0.0, 0.0], [9.0, 9.0]]) == pytest.approx(together, rel=0.03)
    both.save(tmp_path / "model.npz")
    again = mg.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.predict(at, interval=0.5), both.predict(at, interval=0.5))
    if size:
        member = both.member(1).uncertainty
        np.testing.assert_array_equal(np.atleast_1d(member.kurtosis), heavy[-1])


def test_a_kurtosis_may_be_that_of_all_targets():
    for members, given in (((), 2.0), ((3,), [2.0, 0.0, 1.0])):
        root = np.broadcast_to(np.eye(4), (*members, 4, 4)).copy()
        known = mg.Laplace(root, noise=np.ones((*members, 2)), kurtosis=given)
        expected = np.stack([given, given], axis=-1)
        np.testing.assert_array_equal(known.kurtosis, expected)
    assert mg.Noise([1.0, 2.0], [0.0, 1.5]).kurtosis == (0.0, 1.5)


def test_new_targets_are_likelier_than_under_a_normal_law():
    model = fitted("evidence")
    x, y = rows(2000, 1)
    heavy = model.log_likelihood(x, y)
    options = model.uncertainty.config() | {"kurtosis": 0.0}
    model.uncertainty = type(model.uncertainty)(**options)
    assert heavy > model.log_likelihood(x, y) + 0.02


@pytest.mark.parametrize("kurtosis", [np.nan, np.inf, -0.5, "heavy", [0.5, 0.5], [[0.5]], None])
def test_a_kurtosis_that_is_none_is_refused(kurtosis):
    with pytest.raises((TypeError, ValueError), match="Laplace: kurtosis expects"):
        mg.Laplace(np.eye(3), noise=[1.0], kurtosis=kurtosis)


@pytest.mark.parametrize("unit", [1e-90, 1e90])
def test_intervals_do_not_depend_on_the_unit(unit):
    model = mg.Sequential([mg.Identity()], loss=mg.MeanSquaredError(), dtype="float64")
    widths = []
    for noise in (1.0, unit):
        law = Law(model, np.zeros((1, 1)), None)
        law.noise, law.open = np.full((1, 1, 1), noise**2), np.zeros((1, 1, 1))
        law.kurtosis = np.full((1, 1, 1), 2.0)
        low, high, _ = law.interval(0.9)
        widths.append((high - low).item() / noise)
    assert widths[0] == pytest.approx(widths[1])


def test_files_and_members_keep_it(tmp_path):
    model = fitted("evidence", ensemble_size=2)
    x, y = rows(20, 1)
    model.save(tmp_path / "model.npz")
    loaded = mg.load(tmp_path / "model.npz")
    assert loaded.log_likelihood(x, y) == model.log_likelihood(x, y)
    member = model.member(1)
    assert member.uncertainty.kurtosis == model.uncertainty.kurtosis[1]
    np.testing.assert_allclose(
        member.predict(x, interval=0.9), member.copy().predict(x, interval=0.9)
    )
