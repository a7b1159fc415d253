"""Functions that are computed to a tolerance only: the hint says so, and the verdict remains."""

import re

import numpy as np
import pytest

import mlpgrad as mg

P = np.array([1.3, 0.8])


def cubic(solve):
    """A function of the root of z^3 + p_0 z = 2 + p_1^2, and its exact gradient."""

    def f(p):
        return float(np.exp(solve(lambda z: z**3 + p[0] * z - p[1] ** 2 - 2)))

    def gradient(p):
        z = bisected(lambda z: z**3 + p[0] * z - p[1] ** 2 - 2, 1e-15)
        return np.exp(z) * np.array([-z, 2 * p[1]]) / (3 * z**2 + p[0])

    return f, gradient, P


def bisected(function, tolerance):
    low, high = 0.0, 5.0
    while high - low > tolerance:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (low, middle) if function(middle) > 0 else (middle, high)
    return (low + high) / 2


def secant(function, tolerance):
    a, b = 1.0, 1.1
    while abs(b - a) > tolerance:
        a, b = b, b - function(b) * (b - a) / (function(b) - function(a))
    return b


def fixed_point(tolerance):
    """A function of z = tanh(A z + p), and its exact gradient."""
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(4, 4))
    matrix *= 0.8 / np.linalg.norm(matrix, 2)
    factors, start = rng.normal(size=4), rng.normal(size=4)

    def solve(p, tolerance):
        z, after = np.zeros(4), np.ones(4)
        while np.abs(after - z).max() > tolerance:
            z, after = after, np.tanh(matrix @ after + p)
        return after

    def gradient(p):
        slopes = np.diag(1 - solve(p, 1e-15) ** 2)
        return np.linalg.solve((np.eye(4) - slopes @ matrix).T, factors) @ slopes

    return lambda p: float(factors @ solve(p, tolerance)), gradient, start


def decay(tolerance):
    """y' = -p_0 y + p_1 at t = 2 by SciPy's solver with its defaults, and its exact gradient."""
    from scipy.integrate import odeint

    options = {} if tolerance is None else {"rtol": tolerance, "atol": tolerance}

    def f(p):
        return float(odeint(lambda y, t: -p[0] * y + p[1], 1.0, [0, 2.0], **options)[-1, 0])

    def gradient(p):
        a, b = p
        e = np.exp(-2 * a)
        return np.array([-2 * e - b / a**2 * (1 - e) + 2 * b / a * e, (1 - e) / a])

    return f, gradient, P


STOPPED = {
    "iteration 1e-4": fixed_point(1e-4),
    "iteration 1e-8": fixed_point(1e-8),
    "secant 1e-3": cubic(lambda function: secant(function, 1e-3)),
    "odeint": decay(None),
    "odeint 1e-6": decay(1e-6),
}


@pytest.mark.parametrize("name", STOPPED)
def test_the_hint_says_that_a_function_has_a_tolerance(name):
    f, gradient, point = STOPPED[name]
    found = 0
    for seed in range(6):
        report = mg.check_gradient(f, gradient, point, seed=seed)
        assert report.verdict.value in ("FAIL", "PASS"), str(report)
        if "TOLERANCE" not in report.codes:
            continue
        found += 1
        assert "seems to be computed to a tolerance only" in report.hints[0]
        rtol = float(re.search(r"rtol=(\S+)", report.hints[0])[1])
        assert mg.check_gradient(f, gradient, point, seed=seed, rtol=rtol)

        def wrong(p, factor=1 + 10 * rtol):
            return factor * gradient(p)

        assert not mg.check_gradient(f, wrong, point, seed=seed, rtol=rtol)
    assert found >= 3


@pytest.mark.parametrize("factor", [1.05, 1.5, -1])
@pytest.mark.parametrize("name", STOPPED)
def test_a_tolerance_is_no_reason_for_a_wrong_gradient(name, factor):
    f, gradient, point = STOPPED[name]
    for seed in range(3):
        report = mg.check_gradient(f, lambda p: factor * gradient(p), point, seed=seed)
        assert report.verdict.value == "FAIL"
        assert "TOLERANCE" not in report.codes, str(report)


W = np.random.default_rng(0).normal(size=(20, 6))


@pytest.mark.parametrize(
    ("f", "gradient"),
    [
        (lambda p: np.sin(p).sum(), np.cos),
        (lambda p: np.float32(np.sin(p).sum()), np.cos),
        (lambda p: round(np.sin(p).sum(), 4), np.cos),
        (lambda p: np.maximum(W @ p, 0).sum(), lambda p: W.T @ (W @ p > 0)),
        (lambda p: np.sin(p).sum() + 1e-4 * np.sin(300 * p).sum(), lambda p: 0.99 * np.cos(p)),
    ],
    ids=["smooth", "float32", "rounded", "kinks", "waves"],
)
def test_other_functions_have_no_tolerance(f, gradient):
    for seed in range(6):
        p = np.random.default_rng(seed).normal(size=6)
        for factor in (1.001, 1.05):
            report = mg.check_gradient(f, lambda p, c=factor: c * gradient(p), p, seed=seed)
            assert "TOLERANCE" not in report.codes, str(report)


def test_a_product_of_such_a_function_gets_the_hint_too():
    f, gradient, point = fixed_point(1e-6)
    reports = [mg.check_vjp(f, lambda p, v: v * gradient(p), point, seed=seed) for seed in range(6)]
    assert sum("TOLERANCE" in report.codes for report in reports) >= 3
