"""Gradients at points where several elements have kinks at once."""

import numpy as np
import pytest

import mlpgrad as mg

SEEDS = range(8)


def clipped(p):
    return float(np.clip(p, -1, 1).sum())


def at_limits(value):
    """The gradient of `clipped`, with one value at both limits."""
    return lambda p: np.where(np.abs(p) == 1, value, 1.0 * (np.abs(p) < 1))


def verdicts(f, grad, point):
    return {mg.check_gradient(f, grad, point, seed=seed).verdict.value for seed in SEEDS}


@pytest.mark.parametrize("n", [3, 12, 60])
@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_kinks_that_cancel_along_the_gradient(n, value):
    """Along (1, 1, 1) both one-sided slopes are equal: one element gains what another loses."""
    point = np.concatenate([[1.0, -1.0, 0.3], np.random.default_rng(n).normal(size=n - 3)])
    point[5::2] = 1.0
    assert verdicts(clipped, at_limits(value), point) <= {"KINK", "PASS"}


@pytest.mark.parametrize("value", [-0.2, 1.2, 5.0])
def test_a_value_outside_the_slopes_of_its_element_is_wrong(value):
    assert verdicts(clipped, at_limits(value), np.array([1.0, -1.0, 0.3])) == {"FAIL"}


def largest(p):
    return float(p.max())


def nothing_at_ties(p):
    return 1.0 * (p > np.partition(p, -2)[-2])


def span(p):
    return float(p.max() + p.min())


def first_of_each(p):
    return np.eye(len(p))[p.argmax()] + np.eye(len(p))[p.argmin()]


def length(p):
    return float(np.linalg.norm(p))


def at_zero(value):
    return lambda p: p / np.linalg.norm(p) if p.any() else np.full(p.shape, value)


@pytest.mark.parametrize(
    ("f", "grad", "point"),
    [(largest, nothing_at_ties, np.ones(2)), (length, at_zero(1.0), np.zeros(4))],
    ids=["zero at a tie of the largest", "longer than 1 at the origin of the length"],
)
def test_what_is_no_subgradient_is_not_accepted(f, grad, point):
    assert verdicts(f, grad, point) <= {"INCONCLUSIVE", "FAIL"}
    text = str(mg.check_gradient(f, grad, point))
    assert "between" not in text
    assert "outside all slopes that were seen" in text


@pytest.mark.parametrize(
    ("f", "grad", "point"),
    [
        (largest, lambda p: 1.0 * (np.arange(2) == p.argmax()), np.ones(2)),
        (largest, lambda p: (p == p.max()) / np.sum(p == p.max()), np.ones(2)),
        (length, at_zero(0.0), np.zeros(4)),
        (length, at_zero(0.4), np.zeros(4)),
        (span, first_of_each, np.array([1.0, 1.0, 1.0, 0.0])),
    ],
    ids=["first of a tie", "shares of a tie", "centre", "inside the ball", "largest and least"],
)
def test_subgradients_at_ties_and_at_the_origin(f, grad, point):
    assert verdicts(f, grad, point) <= {"KINK", "PASS"}


def test_a_strong_curvature_is_not_taken_for_kinks():
    """Slopes close by differ, but less and less towards the point."""
    for seed in (3, 27, 67):
        p = np.random.default_rng(seed).normal(size=8)

        def wrong(p):
            g = 1e3 * np.cos(1e3 * p)
            g[np.abs(g).argmax()] *= 1 + 4e-5
            return g

        report = mg.check_gradient(lambda p: float(np.sin(1e3 * p).sum()), wrong, p, seed=seed)
        assert not report, str(report)
