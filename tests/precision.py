"""Numbers that are hard for a formula, and a bound on its error."""

import warnings

import numpy as np
import pytest
from hypothesis import strategies as st

EXACT = np.longdouble
WIDTHS = {np.float16: 16, np.float32: 32, np.float64: 64}
every_width = pytest.mark.parametrize("dtype", WIDTHS, ids=lambda dtype: dtype.__name__)


def strain(dtype):
    """Finite numbers of all signs and sizes, and those at which common formulas switch."""
    if dtype is np.float16:
        numbers = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # all numbers
        return numbers[np.isfinite(numbers)]
    limits = np.finfo(dtype)
    lowest, highest = np.log10(float(limits.smallest_subnormal)), np.log10(float(limits.max))
    sizes = EXACT(10) ** np.linspace(lowest, highest, 2001)
    near = np.linspace(0, 120, 4801)  # where exponentials matter
    special = [limits.smallest_subnormal, limits.tiny, limits.eps, 1, limits.max]
    special = np.concatenate([np.nextafter(special, 0), special, np.nextafter(special, 2)])
    exponents = [np.log(float(limits.max)), np.log(float(limits.eps)), np.log(float(limits.tiny))]
    positive = np.concatenate([[0.0], special, sizes, near, np.abs(exponents), near / 1000])
    positive = np.minimum(positive, EXACT(limits.max)).astype(dtype)
    return np.unique(np.concatenate([positive, -positive]))


def any_numbers(dtype):
    """A hypothesis strategy for arrays of finite numbers."""
    numbers = st.floats(width=WIDTHS[dtype], allow_nan=False, allow_infinity=False)
    return st.lists(numbers, min_size=1, max_size=20).map(lambda values: np.array(values, dtype))


def needs_more_digits(dtype):
    """Skip if the reference has no more digits than the tested numbers."""
    if np.finfo(EXACT).eps >= np.finfo(dtype).eps:
        pytest.skip("longdouble is no longer than float64 on this machine")


def silently(function, *args):
    """The result of a call, which must not warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(*args)


def assert_exact(found, exact, size=1, *, at, count=4):
    """Check `|found - exact| <= count eps max(|exact|, size)`, unless both are out of range.

    Parameters
    ----------
    found : array
        The numbers that the library computed.
    exact : array of longdouble
        The same by an independent formula.
    size : number or array
        1 for an absolute error near 0, 0 for a relative one everywhere.
    at : tuple of arrays
        The inputs, for the message.
    count : number or array
        The allowed error in units in the last place.
    """
    limits = np.finfo(found.dtype)
    allowed = count * EXACT(limits.eps) * np.maximum(np.abs(exact), size)
    allowed = np.maximum(allowed, EXACT(limits.smallest_subnormal))
    with np.errstate(invalid="ignore"):  # inf - inf
        wrong = ~(np.abs(found.astype(EXACT) - exact) <= allowed)
    beyond = np.abs(exact) > EXACT(limits.max) * (1 - count * EXACT(limits.eps))
    wrong &= ~(beyond & np.isinf(found) & (np.sign(found) == np.sign(exact)))
    if wrong.any():
        error = np.where(np.isfinite(found), np.abs(found.astype(EXACT) - exact) / allowed, np.inf)
        error[~wrong] = 0
        worst = np.unravel_index(np.nanargmax(error), error.shape)
        inputs = ", ".join(repr(np.broadcast_to(a, found.shape)[worst]) for a in at)
        pytest.fail(
            f"{wrong.sum()} of {wrong.size} numbers are wrong; at {inputs}: {found[worst]!r} in "
            f"place of {exact[worst]!r}, {float(error[worst]):.3g} times the error allowed"
        )
