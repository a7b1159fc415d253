"""NumPy's functions of numbers, written with LLVM's: exp, log, tanh and others.

exp is Taylor's series, log is fdlibm's, and tanh is a rational function of Cephes (S. L. Moshier,
"Methods and programs for mathematical functions", 1989) or Eigen. Multiply, add, divide and sqrt
are rounded correctly, so that their results equal NumPy's bit for bit.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

from mlpgrad.training.compiled import coefficients as of
from mlpgrad.training.compiled.values import Number, Value, select


class Format(NamedTuple):
    """A floating-point format, and how many terms its functions need.

    Attributes
    ----------
    mantissa, bias : int
        Bits of the mantissa, and the exponent of 1.
    ln2 : (float, float)
        A few bits of ln 2, and the rest.
    exp, log : int
        The highest terms of the series.
    """

    mantissa: int
    bias: int
    ln2: tuple[float, float]
    exp: int
    log: int


FORMATS = {
    "f4": Format(23, 127, (0.693359375, -2.12194440e-4), 7, 4),
    "f8": Format(52, 1023, (6.93147180369123816490e-1, 1.90821492927058770002e-10), 13, 11),
}


def fma(a: Value, b: Number, c: Number) -> Value:
    """a b + c, rounded once."""
    return a.call("fma", b, c)


def polynomial(x: Value, numbers: Sequence[float]) -> Value:
    """Evaluate by Horner's rule, highest power first."""
    total = x.like(numbers[0])
    for number in numbers[1:]:
        total = fma(total, x, number)
    return total


def clamped(x: Value, low: float, high: float) -> Value:
    """Clip to a range; NaN stays NaN."""
    return maximum(minimum(x, x.like(high)), x.like(low))


def maximum(a: Value, b: Value, how: str = "ogt", name: str = "maximum") -> Value:
    """Return the larger number, or NaN if one of them is."""
    if not b.name.startswith("%"):  # a constant: one instruction keeps the NaN of the other operand
        return select(b.compare(how, a), b, a)
    return a.call(name, b)


def minimum(a: Value, b: Value) -> Value:
    """Return the smaller number, or NaN if one of them is."""
    return maximum(a, b, "olt", "minimum")


def sqrt(x: Value) -> Value:
    """The square root; in half the time of AVX-512's instruction, from its estimate of 1 / sqrt x.

    One of Newton's steps follows for both roots, and a last one that rounds correctly (P. W.
    Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor", 1990).
    Every third root is left to the instruction, which works beside the multiplications.
    """
    x.code.roots += 1
    if (x.kind, x.lanes) != ("f4", 16) or x.code.roots % 3 == 0:
        return x.call("sqrt")
    number, call = x.code.number, functools.partial(x.code.call, kind=x.kind, lanes=x.lanes)
    small, every = x.compare("olt", 2.0**-96), number(-1, "i2")  # residues may be subnormal
    x = select(small, x * 2.0**64, x)
    reverse = call("llvm.x86.avx512.rsqrt14.ps.512", x, x.like(0), every)
    root, half = x * reverse, reverse * 0.5
    error = fma(-root, half, 0.5)
    root, half = fma(root, error, root), fma(half, error, half)
    root = fma(fma(-root, root, x), half, root)
    # zero and infinity, the classes of numbers with a 1 in the table, are their own roots
    rest = number(0x100100, "i4", x.lanes), number(0, "i4"), every, number(4, "i4")
    root = call("llvm.x86.avx512.mask.fixupimm.ps.512", root, x, *rest)
    return select(small, root * 2.0**-32, root)


def sign(a: Value) -> Value:
    """-1, 0 or 1; NaN stays NaN."""
    return select(a.compare("one", 0), a.like(1).call("copysign", a), a)


def exp(x: Value) -> Value:
    """2^n e^r with |r| <= ln 2 / 2; n is read from the low bits of x log2 e + 1.5 2^m."""
    form = FORMATS[x.kind]
    magic, ln2 = x.like(1.5 * 2.0**form.mantissa), math.log(2)
    x = clamped(x, -math.ceil((form.bias + form.mantissa) * ln2), math.ceil((form.bias + 1) * ln2))
    shifted = fma(x, math.log2(math.e), magic)
    n = shifted - magic
    high, low = form.ln2
    r = fma(n, -low, fma(n, -high, x))
    terms = [1 / math.factorial(k) for k in range(form.exp, 1, -1)]
    y = fma(polynomial(r, terms), r * r, r) + 1
    power = shifted.bits() - magic.bits()
    half = power.write("ashr", 1)
    for part in (half, power - half):  # two factors, since the result may be subnormal
        y = y * (part + form.bias).write("shl", form.mantissa).bits()
    return y


def log(x: Value) -> Value:
    """e ln 2 + log(1 + f), where x = 2^e (1 + f) and sqrt(1/2) <= 1 + f < sqrt 2.

    log(1 + f) = f - f^2/2 + s (f^2/2 + z p(z)), s = f / (2 + f), z = s^2 (fdlibm).
    """
    form, root = FORMATS[x.kind], x.like(math.sqrt(0.5)).bits()
    small = x.compare("olt", 2.0 ** (1 - form.bias))
    bits = select(small, x * 2.0**form.mantissa, x).bits() - root
    f = (bits.write("and", (1 << form.mantissa) - 1) + root).bits() - 1
    e = bits.write("ashr", form.mantissa).to(x.kind)
    e = select(small, e - form.mantissa, e)
    s = f / (f + 2)
    z, half = s * s, f * f * 0.5
    p = polynomial(z, [2 / (2 * k + 1) for k in range(form.log, 0, -1)])
    high, low = form.ln2
    y = fma(e, low, s * fma(z, p, half))
    y = fma(e, high, f - (half - y))
    y = select(x.compare("oeq", 0), -math.inf, y)
    y = select(x.compare("olt", 0), math.nan, y)
    return select(x.compare("olt", math.inf), y, x)  # infinity and NaN are their own logarithms


def log1p(x: Value) -> Value:
    """log(u) x / (u - 1), u = 1 + x: the rounding of u cancels (Kahan)."""
    u = x + 1
    y = log(u) * (x / (u - 1))
    y = select(u.compare("oeq", math.inf), u, y)
    return select(u.compare("oeq", 1), x, y)


def expm1(x: Value) -> Value:
    """(u - 1) x / log u, u = e^x (Kahan)."""
    u = exp(x)
    less = u - 1
    y = less * (x / log(u))
    y = select(less.compare("oeq", -1), less, y)
    y = select(u.compare("oeq", math.inf), u, y)
    return select(u.compare("oeq", 1), x, y)


def tanh(x: Value) -> Value:
    """A rational function near 0, and 1 - 2 e / (1 + e), e = e^-2|x|, elsewhere.

    It is exactly 1 or -1 where that is the nearest number: optimizers such as Adam make a whole
    step of any slope that is not 0.
    """
    size = x.call("fabs")
    if x.kind == "f4":
        y = minimum(size * quotient(x * x, of.TANH), x.like(1))
        y = select(size.compare("ogt", 9.011), 1, y).call("copysign", x)
        return select(size.compare("olt", 0.0004), x, y)
    near = fma(x * (x * x), quotient(x * x, of.NEAR), x)
    e = exp(size * -2)
    far = (1 - e * 2 / (1 + e)).call("copysign", x)
    return select(size.compare("olt", 0.625), near, far)


def ndtr(x: Value) -> Value:
    """The normal distribution function, erfc(-x / sqrt 2) / 2, computed in float64."""
    if x.kind == "f4":
        return ndtr(x.to("f8")).to("f4")
    z = (x * math.sqrt(0.5)).call("fabs")
    t = 2 / (z + 2)
    tail = t * exp(polynomial(t * 2 - 1, of.ERFC)) * exp(-(z * z)) * 0.5
    return select(x.compare("olt", 0), tail, 1 - tail)


def quotient(x: Value, coefficients: tuple[Sequence[float], Sequence[float]]) -> Value:
    """Evaluate a rational function."""
    top, bottom = coefficients
    return polynomial(x, top) / polynomial(x, bottom)


INTRINSICS = {"rint": "rint", "absolute": "fabs", "fabs": "fabs", "copysign": "copysign"}
COMPARISONS = {"equal": "oeq", "not_equal": "une", "greater": "ogt", "less": "olt"}
COMPARISONS |= {"greater_equal": "oge", "less_equal": "ole"}
ARITHMETIC = {"add": operator.add, "subtract": operator.sub, "multiply": operator.mul}
"""Functions of integers, too."""
FUNCTIONS: dict[str, Callable[..., Value]] = ARITHMETIC | {
    f.__name__: f for f in (exp, expm1, log, log1p, maximum, minimum, ndtr, sign, sqrt, tanh)
}
FUNCTIONS |= {"divide": operator.truediv, "negative": operator.neg}
FUNCTIONS |= {"square": lambda a: a * a, "reciprocal": lambda a: 1 / a}
FUNCTIONS |= {name: lambda a, b, how=how: a.compare(how, b) for name, how in COMPARISONS.items()}
FUNCTIONS |= {name: lambda a, *b, by=by: a.call(by, *b) for name, by in INTRINSICS.items()}
"""The functions by NumPy's names."""
