"""Rounding errors of a gradient that cancels, or divides by a number near 0, do not fail."""

import numpy as np
import pytest

import mlpgrad as mg


def nearly_degenerate(gap, rng):
    """trace(C sin(M + M^T)) by eigenvectors, two of which belong to nearly equal eigenvalues."""
    basis, c = np.linalg.qr(rng.normal(size=(3, 3)))[0], rng.normal(size=(3, 3))
    point = basis @ np.diag([1.0, 1.0 + gap, 2.0]) @ basis.T / 2

    def f(p):
        w, v = np.linalg.eigh(p + p.T)
        return float(np.sum(v @ np.diag(np.sin(w)) @ v.T * (c + c.T)))

    def gradient(p):
        w, v = np.linalg.eigh(p + p.T)
        apart = w[:, None] - w + np.eye(3)
        k = (np.sin(w)[:, None] - np.sin(w)) / apart + np.diag(np.cos(w))
        return 2 * v @ (k * (v.T @ (c + c.T) @ v)) @ v.T

    return f, gradient, point


def nearly_constant(size, rng):
    """The logarithm of the variance of numbers that are nearly equal."""

    def gradient(p):
        return 2 * (p - p.mean()) / len(p) / (np.mean(p * p) - p.mean() ** 2)

    return lambda p: float(np.log(np.var(p))), gradient, size + 1e-3 * rng.normal(size=6)


CASES = [(nearly_degenerate, gap) for gap in (1e-7, 1e-8, 1e-9, 1e-10)]
CASES += [(nearly_constant, size) for size in (1e2, 1e3, 1e4)]
NAMES = [f"{make.__name__}-{number:g}" for make, number in CASES]


@pytest.mark.parametrize(("make", "number"), CASES, ids=NAMES)
def test_a_gradient_of_few_digits_does_not_fail(make, number):
    for seed in range(6):
        f, gradient, point = make(number, np.random.default_rng(seed))
        report = mg.check_gradient(f, gradient, point, seed=seed)
        assert report.verdict.value != "FAIL", str(report)


@pytest.mark.parametrize("gap", [1e-7, 1e-8, 1e-9, 1e-10])
@pytest.mark.parametrize("factor", [-1.0, 0.99, 2.0])
def test_a_mistake_in_a_gradient_of_few_digits_fails(gap, factor):
    for seed in range(6):
        f, gradient, point = nearly_degenerate(gap, np.random.default_rng(seed))
        wrong = mg.check_gradient(f, lambda p, g=gradient: factor * g(p), point, seed=seed)
        assert wrong.verdict.value == "FAIL", str(wrong)


def test_a_gradient_that_is_wrong_at_ties_only_fails():
    def gradient(p):
        shares = np.exp(p) / np.exp(p).sum()
        return np.where(p == p.max(), shares * np.count_nonzero(p == p.max()), shares)

    point = np.array([0.5, 2.0, 2.0, -1.0])
    report = mg.check_gradient(lambda p: float(np.log(np.exp(p).sum())), gradient, point)
    assert report.verdict.value == "FAIL", str(report)
