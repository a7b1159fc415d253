"""Values and slopes of every activation are accurate to the last digits for finite numbers.

The formulas below are independent of the library's, in extended precision. For a class without a
formula, the test fails and says what to add.
"""

import numpy as np
import pytest
from hypothesis import given

import mlpgrad as mg
from tests.kinds import every, subclasses
from tests.precision import (
    EXACT,
    any_numbers,
    assert_exact,
    every_width,
    needs_more_digits,
    silently,
    strain,
)

ACTIVATIONS = subclasses(mg.Activation)


def sigmoid(z):
    e = np.exp(-abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def normal_density(z):
    return np.exp(-(np.minimum(abs(z), 200) ** 2) / 2) / np.sqrt(
        2 * np.arctan2(EXACT(0), EXACT(-1))
    )


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-abs(z)))


def normal_cdf(z):
    """Phi(z): the series of Marsaglia 2004 near 0, a continued fraction in the tails."""
    near = np.clip(z, -6, 6)
    term, total = near.copy(), near.copy()
    for k in range(1, 120):
        term = term * near**2 / (2 * k + 1)
        total = total + term
    tail = np.maximum(abs(z), 1)
    fraction = tail.copy()
    for k in range(150, 0, -1):
        fraction = tail + k / fraction
    beyond = normal_density(z) / fraction
    return np.where(
        abs(z) < 5,
        EXACT(0.5) + normal_density(near) * total,
        np.where(z < 0, beyond, 1 - beyond),
    )


def exponential_unit(z, scale, alpha):
    return np.where(z > 0, scale * z, alpha * np.expm1(np.minimum(z, 0)))


def exponential_unit_slope(z, scale, alpha):
    return np.where(z > 0, scale, alpha * np.exp(np.minimum(z, 0)))


def mish_slope(z):
    bounded = np.clip(z, -5000, 5000)  # f' is 0 or 1 there
    t = np.tanh(softplus(bounded))
    return t + bounded * sigmoid(bounded) / np.cosh(softplus(bounded)) ** 2


SELU = EXACT("1.0507009873554804934193349852946"), EXACT("1.6732632423543772848170429916717")
SELU_PARTS = SELU[0], SELU[0] * SELU[1]

REFERENCES = {  # value and slope at z, for an instance with its options
    "ELU": (
        lambda z, f: exponential_unit(z, 1, EXACT(f.alpha)),
        lambda z, f: exponential_unit_slope(z, 1, EXACT(f.alpha)),
    ),
    "GELU": (
        lambda z, f: z * normal_cdf(z),
        lambda z, f: normal_cdf(z) + np.clip(z, -200, 200) * normal_density(z),
    ),
    "Identity": (lambda z, f: z, lambda z, f: np.ones_like(z)),
    "LeakyReLU": (
        lambda z, f: np.where(z > 0, z, EXACT(f.negative_slope) * z),
        lambda z, f: np.where(z > 0, 1, EXACT(f.negative_slope)),
    ),
    "Mish": (lambda z, f: z * np.tanh(softplus(z)), lambda z, f: mish_slope(z)),
    "ReLU": (lambda z, f: np.maximum(z, 0), lambda z, f: (z > 0).astype(EXACT)),
    "SELU": (
        lambda z, f: exponential_unit(z, *SELU_PARTS),
        lambda z, f: exponential_unit_slope(z, *SELU_PARTS),
    ),
    "SiLU": (
        lambda z, f: z * sigmoid(z),
        lambda z, f: sigmoid(z) * (1 + np.clip(z, -5000, 5000) * sigmoid(-z)),
    ),
    "Sigmoid": (lambda z, f: sigmoid(z), lambda z, f: sigmoid(z) * sigmoid(-z)),
    "Softplus": (lambda z, f: softplus(z), lambda z, f: sigmoid(z)),
    "Softsign": (lambda z, f: z / (1 + abs(z)), lambda z, f: (1 / (1 + abs(z))) ** 2),
    "Tanh": (
        lambda z, f: np.tanh(z),
        lambda z, f: 1 / np.cosh(np.minimum(abs(z), 5000)) ** 2,
    ),
}
OPTIONS = {"ELU": [{"alpha": 2.5}], "LeakyReLU": [{"negative_slope": 0.3}]}
EXEMPT = {"Elementwise": "computes the user's own functions"}


def reference(cls):
    """The reference formulas of a class."""
    if cls.__name__ not in REFERENCES:
        pytest.fail(
            f"no reference for {cls.__name__}: add its value and slope to REFERENCES in "
            f"{__file__}, as formulas in longdouble that hold for every finite z"
        )
    return REFERENCES[cls.__name__]


def assert_agrees(activation, z):
    """Value and slope at each z, within 4 eps max(1, |f|) and without a warning."""
    a, slope = np.empty_like(z), np.empty_like(z)
    silently(activation.apply, z, a)
    silently(activation.slope, z, a, slope)
    with np.errstate(under="ignore", over="ignore"):
        value_at, slope_at = reference(type(activation))
        exact, exact_slope = (f(z.astype(EXACT), activation) for f in (value_at, slope_at))
    assert_exact(a, exact, at=(z,))
    assert_exact(slope, exact_slope, at=(z,))


each = every([cls for cls in ACTIVATIONS if cls.__name__ not in EXEMPT])


@each
@every_width
def test_values_and_slopes_are_exact_over_the_whole_range(cls, dtype):
    needs_more_digits(dtype)
    z = strain(dtype)
    for options in ({}, *OPTIONS.get(cls.__name__, [])):
        assert_agrees(cls(**options), z)
        assert_agrees(cls(**options), z.reshape(1, -1)[:, ::3])


@pytest.mark.slow
@each
@every_width
def test_and_at_any_other_numbers(cls, dtype):
    needs_more_digits(dtype)

    @given(any_numbers(dtype))
    def check(z):
        assert_agrees(cls.example(), z)

    check()


def test_every_reference_is_of_a_class():
    names = {cls.__name__ for cls in ACTIVATIONS}
    assert {*REFERENCES, *EXEMPT} == names
    assert OPTIONS.keys() <= REFERENCES.keys()


def test_a_new_class_is_told_what_to_do():
    class New(mg.Activation):
        """A class that is not in the table."""

    with pytest.raises(pytest.fail.Exception, match="no reference for New: add its value"):
        reference(New)


def test_a_wrong_digit_is_noticed(monkeypatch):
    class Off(mg.Mish):
        def slope(self, z, a, out):
            super().slope(z, a, out)
            np.multiply(out, np.float32(1 + 1e-6), out)

    monkeypatch.setitem(REFERENCES, "Off", REFERENCES["Mish"])

    with pytest.raises(pytest.fail.Exception, match="times the error allowed"):
        assert_agrees(Off(), strain(np.float32))


def test_the_reference_of_phi_is_scipys():
    from scipy.special import ndtr

    z = np.linspace(-30, 30, 4001)
    np.testing.assert_allclose(normal_cdf(z.astype(EXACT)).astype(float), ndtr(z), rtol=2e-12)
