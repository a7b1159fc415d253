"""The report says which part of a gradient its check could not see."""

import numpy as np
import pytest

import mlpgrad as mg

S = 10.0 ** np.linspace(-6, 6, 50)
P = np.random.default_rng(5).normal(size=50)
FIRST_DOUBLED = np.where(np.arange(50) == 0, 2.0, 1.0)


def value(p):
    return 0.5 * float(np.sum(S * p * p))


@pytest.mark.parametrize(
    "check",
    [
        lambda factor: mg.check_gradient(value, lambda p: factor * S * p, P, method="coordinates"),
        lambda factor: mg.check_gradient(value, lambda p: factor * S * p, P),
        lambda factor: mg.check_vjp(lambda p: S * p, lambda p, v: factor * S * v, P, v=P),
        lambda factor: mg.check_hvp(lambda p: S * p, lambda p, v: factor * S * v, P),
    ],
    ids=["coordinates", "auto", "vjp", "hvp"],
)
@pytest.mark.parametrize("factor", [1.0, FIRST_DOUBLED], ids=["correct", "first doubled"])
def test_elements_below_the_noise_are_counted(check, factor):
    """A mistake in the least of them is not seen, and the report does not hide that.

    The vector of `check_vjp` is given, since its own makes all outputs count.
    """
    report = check(factor)
    assert report.verdict.value == "PASS"
    assert "of 50 elements are below the noise" in str(report)


def test_no_such_note_where_everything_is_seen():
    for method in ("auto", "coordinates"):
        report = mg.check_gradient(np.sum, np.ones_like, np.arange(1.0, 9.0), method=method)
        assert report.verdict.value == "PASS"
        assert not report["params"].note
    zeros = mg.check_gradient(lambda p: float(p[0] ** 2), lambda p: p * [2.0, 0, 0], np.ones(3))
    assert not zeros["params"].note  # a gradient that is exactly 0 is no small element
