"""Coarse functions with kinks everywhere: the integral of the gradient decides."""

import functools
import math
from collections import Counter

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.gradcheck.numeric.integral import trend


def network(seed, dtype="f8"):
    """A ReLU network with a log loss that computes in float32, and its parameters."""
    rng = np.random.default_rng(seed)
    d, h, k, n = (int(rng.integers(*limits)) for limits in ((2, 8), (3, 24), (2, 5), (8, 80)))
    x, y = rng.normal(size=(n, d)).astype("f4"), rng.integers(0, k, n)
    params = {"w1": rng.normal(size=(d, h)) / d**0.5, "b1": 0.1 * rng.normal(size=h)}
    params |= {"w2": rng.normal(size=(h, k)) / h**0.5, "b2": 0.1 * rng.normal(size=k)}

    def f(p, name="", factor=1.0):
        w1, b1, w2, b2 = (p[key].astype("f4") for key in ("w1", "b1", "w2", "b2"))
        a = np.maximum(x @ w1 + b1, 0)
        z = a @ w2 + b2
        z -= z.max(axis=1, keepdims=True)
        share = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        value = -np.log(share[np.arange(n), y]).mean()
        delta = (share - np.eye(k, dtype="f4")[y]) / np.float32(n)
        below = delta @ w2.T * (a > 0)
        found = {"w1": x.T @ below, "b1": below.sum(0), "w2": a.T @ delta, "b2": delta.sum(0)}
        wide = {key: part.astype(dtype) for key, part in found.items()}
        return float(value), wide | {key: factor * wide[key] for key in wide if key == name}

    return f, {key: part.astype(dtype) for key, part in params.items()}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_correct_gradient_of_a_float32_relu_network(dtype):
    verdicts = Counter()
    for seed in range(6):
        f, params = network(seed, dtype)
        verdicts[mg.check_gradient(f, None, params, seed=seed).verdict.value] += 1
    assert set(verdicts) <= {"PASS", "KINK"}, verdicts
    assert verdicts["PASS"] >= 4, verdicts


@pytest.mark.parametrize(
    ("name", "factor"), [("w1", 1.01), ("w1", 2.0), ("b1", 1.05), ("w2", 1.003), ("b2", 0.0)]
)
def test_a_wrong_gradient_of_a_float32_relu_network(name, factor):
    for seed in range(2):
        f, params = network(seed)
        report = mg.check_gradient(lambda p, f=f: f(p, name, factor), None, params, seed=seed)
        assert report.verdict.value == "FAIL", str(report)
        assert report[f"params['{name}']"].verdict.value == "FAIL"


@pytest.mark.parametrize("penalty", [0.005, 0.05, 0.5])
def test_values_rounded_to_two_decimals_with_an_exact_part(penalty):
    """The jumps are far apart, and along some directions there are few of them."""

    def f(p):
        return round(float(np.sin(p).sum()), 2) + penalty * float(p @ p)

    for seed in (12, 30, 34, 53, 85):
        rng = np.random.default_rng(seed)
        p = rng.normal(size=int(rng.integers(3, 12)))
        report = mg.check_gradient(f, lambda p: np.cos(p) + 2 * penalty * p, p, seed=seed)
        assert report.verdict.value in ("PASS", "NO_POWER"), str(report)
        for wrong in (lambda p: 2 * penalty * p, lambda p: 1.3 * np.cos(p) + 2 * penalty * p):
            assert not mg.check_gradient(f, wrong, p, seed=seed)


def test_a_fast_part_that_disappears_over_a_segment_is_not_overlooked():
    """Over a long segment the sum of sines changes as little as a gradient of zero says."""
    for seed in range(6):
        p = np.random.default_rng(seed).normal(size=8)
        for scale in (1e3, 1e6):
            report = mg.check_gradient(
                lambda p, c=scale: float(np.sin(c * p).sum()), np.zeros_like, p, seed=seed
            )
            assert report.verdict.value == "FAIL", str(report)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("value", [1.2, 5.0, -1.0])
def test_a_value_outside_the_slopes_at_many_limits_is_never_accepted(value, dtype):
    for seed in range(6):
        p = np.sign(np.random.default_rng(seed).normal(size=60))
        report = mg.check_gradient(
            lambda p: float(np.clip(p.astype(dtype), -1, 1).sum()),
            lambda p: np.where(np.abs(p) == 1, value, 1.0 * (np.abs(p) < 1)),
            p,
            seed=seed,
        )
        assert not report, str(report)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_domain_that_ends_nearby_raises_nothing(dtype):
    """Values far away are looked at, but a check does not need them."""

    def f(p):
        return float(np.float64(sum(math.log(value) for value in p)).astype(dtype))

    def gradient(p):
        if (p <= 0).any():
            raise ArithmeticError("not positive")
        return 1 / p

    for seed in range(6):
        p = np.random.default_rng(seed).uniform(0.5, 2, 5)
        assert mg.check_gradient(f, gradient, p, seed=seed).verdict.value == "PASS"
        assert not mg.check_gradient(f, lambda p: 1.02 * gradient(p), p, seed=seed)


class LinAlgError(RuntimeError):
    """PyTorch's error for a singular matrix is of this kind."""


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError, LinAlgError])
def test_an_error_beyond_the_domain_is_as_good_as_nan(error):
    """The domain may end before the second point, at which gradients are checked as well."""

    def f(p, raises):
        if (p >= 1).any():
            if raises:
                raise error("outside")
            return np.nan
        return float(np.arcsin(p).sum())

    for factor, p in [(1.0, 0.99), (1.02, 0.99), (1.0, 0.9999)]:
        reports = [
            mg.check_gradient(
                functools.partial(f, raises=raises),
                lambda p, factor=factor: factor / np.sqrt(1 - p**2),
                np.array([p, 0.1]),
            )
            for raises in (True, False)
        ]
        raised = f"; it raised {error.__name__}: outside"
        assert str(reports[0]).replace(raised, "") == str(reports[1])
        assert bool(reports[0]) != (raised in str(reports[0]))
        assert bool(reports[0]) == (factor == 1)
    with pytest.raises(error, match="outside"):
        mg.check_gradient(functools.partial(f, raises=True), np.ones_like, np.array([2.0]))


def test_a_domain_that_ends_at_the_point_is_the_reason_of_an_inconclusive_check():
    def f(p):
        if p[0] > 1:
            raise LinAlgError("singular\nand so on")
        return float(p @ p)

    report = mg.check_gradient(f, lambda p: 2 * p, np.array([1.0, 2.0]))
    assert report.verdict.value == "INCONCLUSIVE"
    assert "f had no finite value at" in report.warnings[-1]
    assert report.warnings[-1].endswith("it raised LinAlgError: singular")


def test_a_product_is_checked_by_values_whose_domain_ends_nearby():
    def f(x):
        return sum(math.log(value) for value in x)

    x = np.array([1.0, 2.0, 0.001])
    assert mg.check_hvp(f, lambda x, v: -v / x**2, x)
    assert not mg.check_hvp(f, lambda x, v: -1.01 * v / x**2, x)


def test_units_that_are_all_at_zero_may_take_their_slope_from_above():
    """It is a slope of f close by, though one element moves several units to different sides."""
    verdicts = {0.0: Counter(), 1.0: Counter(), 3.0: Counter()}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, r = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))  # every pattern of units occurs
        for slope, seen in verdicts.items():
            report = mg.check_gradient(
                lambda w, x=x, r=r: float((np.maximum(x @ w, 0) * r).sum()),
                lambda w, x=x, r=r, c=slope: x.T @ (r * np.where(x @ w == 0, c, x @ w > 0)),
                np.zeros((4, 2)),
                seed=seed,
            )
            seen[report.verdict.value] += 1
    assert not verdicts[0.0]["FAIL"]
    assert verdicts[1.0]["FAIL"] <= 4  # a slope close by is not always seen
    assert verdicts[3.0]["FAIL"] == 12


def test_the_deviation_of_a_trend_covers_its_error():
    """It does for white noise, for steps of a rounded value, and for one that stands still."""
    side = np.linspace(1 / 16, 1, 48) ** 2
    at = np.concatenate([-side[::-1], side])
    rng = np.random.default_rng(0)
    for _ in range(200):
        slope, level = rng.normal(), 10.0 ** rng.uniform(-6, -1)
        rounded = level * np.round((slope * at + rng.normal()) / level) - slope * at
        still = -0.5 * level * at
        for left in (level * rng.normal(size=96), rounded, still):
            found, deviation = trend(at, left, np.zeros(95), level)
            assert abs(found) <= 5 * deviation
