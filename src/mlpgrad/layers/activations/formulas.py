"""Formulas that several activations share; each writes to `out`, also for complex numbers."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from mlpgrad._core.arrays import Array, constant, is_positive, zeros


@functools.cache
def log_of_largest(dtype: np.dtype[Any]) -> float:
    """Return the largest integer x for which e^x is finite: 11 in float16, 88 in float32."""
    return float(np.floor(np.log(np.finfo(dtype).max)))


def magnitude(z: Array, out: Array) -> None:
    """Write |z| as max(z, -z), which keeps complex derivatives; `np.abs` would drop them."""
    np.negative(z, out)
    np.maximum(z, out, out=out)


def complex_tanh(z: Array, out: Array) -> None:
    """Write tanh(x + iy) = (t + is) / (1 + ist), with t = tanh x and s = tan y.

    This takes half the time of NumPy's complex `tanh`, which is not vectorized.
    """
    divisor = np.empty_like(out)
    t, s = out.real, out.imag
    np.tan(z.imag, s)
    np.tanh(z.real, t)
    np.multiply(s, t, divisor.imag)
    divisor.real = 1
    np.divide(out, divisor, out)


def complex_maximum(z: Array, zeros: Array, out: Array) -> None:
    """Write z where its real part is above 0, else 0: at 0 the derivative is 0, as the slope is.

    NumPy's maximum compares imaginary parts where the real ones are equal.
    """
    np.multiply(z, np.greater(z.real, zeros.real), out)


def sigmoid(z: Array, out: Array, tanh: Any = np.tanh) -> None:
    """Write 1 / (1 + e^-z) as tanh(z/2)/2 + 1/2."""
    half = constant(0.5, z.dtype)
    np.multiply(z, half, out)
    tanh(out, out)
    np.multiply(out, half, out)
    np.add(out, half, out)


def step(z: Array, negative: float, positive: float, out: Array, flags: Array) -> None:
    """Write `positive` where z > 0, else `negative`."""
    is_positive(z, out, flags)
    np.multiply(out, constant(positive - negative, out.dtype), out)
    np.add(out, constant(negative, out.dtype), out)


def exponential_unit(z: Array, scale: float, alpha: float, out: Array, scratch: Array) -> None:
    """Write scale z for z > 0, else alpha (e^z - 1)."""
    zero = zeros(z.shape, z.dtype)
    np.minimum(z, zero, out=out)
    np.expm1(out, out)
    np.multiply(out, constant(alpha, out.dtype), out)
    np.maximum(z, zero, out=scratch)
    if scale != 1:
        with np.errstate(over="ignore"):  # near the largest numbers scale z is infinite
            np.multiply(scratch, constant(scale, out.dtype), scratch)
    np.add(out, scratch, out)


def exponential_unit_slope(
    z: Array, scale: float, alpha: float, out: Array, scratch: Array, flags: Array
) -> None:
    """Write scale for z > 0, else alpha e^z."""
    np.minimum(z, zeros(z.shape, z.dtype), out=out)
    np.exp(out, out)
    step(z, alpha, scale, scratch, flags)
    np.multiply(out, scratch, out)


def normal_cdf(z: Array, out: Array) -> None:
    """Write Phi(z); for longdouble only in float64 precision, as in SciPy."""
    if z.dtype.kind == "c" and np.abs(z.imag).max(initial=0) < 1e-9:
        # a complex step: Phi(x) + iy phi(x), whose error is of order y^2; SciPy's takes 15 times
        # as long
        normal_cdf(z.real, out.real)
        np.exp(-0.5 * z.real**2, out=out.imag)
        np.multiply(out.imag, z.imag / math.sqrt(2 * math.pi), out.imag)
        return
    if z.dtype.itemsize > 8 * (1 + (z.dtype.kind == "c")):
        z = z.astype(np.complex128 if z.dtype.kind == "c" else np.float64)
    _ndtr()(z, out=out)


@functools.cache
def _ndtr() -> Any:
    """SciPy's function, imported when a GELU needs it for the first time."""
    from scipy.special import ndtr

    return ndtr
