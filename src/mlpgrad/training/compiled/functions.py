"""Functions of vectors under NumPy's names: arithmetic, comparisons, exp, log, tanh and others.

Polynomials are those of Cephes (S. L. Moshier, "Methods and programs for mathematical functions",
1989), with the same argument reduction; tanh in float32 is Eigen's rational function. Multiply,
add, divide and sqrt are never contracted, so that their results equal NumPy's bit for bit.
"""

from __future__ import annotations

import math
import struct

from mlpgrad.training.compiled import coefficients as of
from mlpgrad.training.compiled.writing import SIZES, Code, splatted, suffix, vector_of

COMPARISONS = {"equal": "oeq", "not_equal": "une", "greater": "ogt", "less": "olt"}
COMPARISONS |= {"greater_equal": "oge", "less_equal": "ole"}
INTRINSICS = {"sqrt": "sqrt", "rint": "rint", "absolute": "fabs", "fabs": "fabs"}
INTRINSICS |= {"copysign": "copysign"}
"""LLVM's names of NumPy's functions."""

LOG2_E = math.log2(math.e)


class Functions:
    """Functions of `lanes` numbers of one floating type, under the names of NumPy's ufuncs."""

    def __init__(self, code: Code, kind: str, lanes: int) -> None:
        self.code, self.kind, self.lanes = code, kind, lanes
        self.single = kind == "f4"
        self.type = vector_of(kind, lanes)
        self.bits_type = f"<{lanes} x i{8 * SIZES[kind]}>"
        self.mantissa, self.bias = (23, 127) if self.single else (52, 1023)

    def apply(self, name: str, *args: str) -> str:
        """Write a function, given by its name in NumPy."""
        if name in COMPARISONS:
            return self.compare(COMPARISONS[name], *args)
        if name in INTRINSICS:
            return self.intrinsic(INTRINSICS[name], *args)
        return str(getattr(self, name)(*args))

    # pieces

    def number(self, value: float) -> str:
        """Return a constant in all lanes."""
        return splatted(value, self.kind, self.lanes)

    def integer(self, value: int) -> str:
        """Return an integer of the same width in all lanes."""
        one = f"i{8 * SIZES[self.kind]} {value}"
        return "<" + ", ".join([one] * self.lanes) + ">"

    def two(self, name: str, a: str, b: str) -> str:
        """Write an instruction on two vectors of numbers."""
        return self.code.op(f"{name} {self.type} {a}, {b}")

    def bits(self, name: str, a: str, b: str) -> str:
        """Write an instruction on two vectors of integers."""
        return self.code.op(f"{name} {self.bits_type} {a}, {b}")

    def intrinsic(self, name: str, *args: str) -> str:
        """Call one of LLVM's intrinsic functions."""
        full = f"llvm.{name}.{suffix(self.kind, self.lanes)}"
        return self.code.call(full, self.type, *(f"{self.type} {a}" for a in args))

    def fma(self, a: str, b: str, c: str) -> str:
        """a b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def compare(self, how: str, a: str, b: str) -> str:
        """Return a vector of flags."""
        return self.code.op(f"fcmp {how} {self.type} {a}, {b}")

    def select(self, flags: str, a: str, b: str) -> str:
        """Return `a` where a flag is set, else `b`."""
        return self.code.op(f"select <{self.lanes} x i1> {flags}, {self.type} {a}, {self.type} {b}")

    def polynomial(self, x: str, numbers: tuple[float, ...]) -> str:
        """Evaluate by Horner's rule, highest power first."""
        total = self.number(numbers[0])
        for number in numbers[1:]:
            total = self.fma(total, x, self.number(number))
        return total

    def as_bits(self, x: str) -> str:
        return self.code.op(f"bitcast {self.type} {x} to {self.bits_type}")

    def as_number(self, bits: str) -> str:
        return self.code.op(f"bitcast {self.bits_type} {bits} to {self.type}")

    def clamped(self, x: str, low: float, high: float) -> str:
        """Clip to a range; NaN stays NaN."""
        top, bottom = self.number(high), self.number(low)
        x = self.select(self.compare("olt", top, x), top, x)
        return self.select(self.compare("ogt", bottom, x), bottom, x)

    # arithmetic

    def add(self, a: str, b: str) -> str:
        return self.two("fadd", a, b)

    def subtract(self, a: str, b: str) -> str:
        return self.two("fsub", a, b)

    def multiply(self, a: str, b: str) -> str:
        return self.two("fmul", a, b)

    def divide(self, a: str, b: str) -> str:
        return self.two("fdiv", a, b)

    def negative(self, a: str) -> str:
        return self.code.op(f"fneg {self.type} {a}")

    def reciprocal(self, a: str) -> str:
        return self.divide(self.number(1), a)

    def square(self, a: str) -> str:
        return self.multiply(a, a)

    def sign(self, a: str) -> str:
        one = self.intrinsic("copysign", self.number(1), a)
        return self.select(self.compare("one", a, self.number(0)), one, a)

    def maximum(self, a: str, b: str) -> str:
        return self._extreme("maximum", "ogt", a, b)

    def minimum(self, a: str, b: str) -> str:
        return self._extreme("minimum", "olt", a, b)

    def _extreme(self, name: str, how: str, a: str, b: str) -> str:
        if b.startswith("<"):  # a constant: one instruction keeps the NaN of the other operand
            return self.select(self.compare(how, b, a), b, a)
        return self.intrinsic(name, a, b)

    # transcendental functions

    def exp(self, x: str) -> str:
        """2^n e^r with |r| <= ln 2 / 2; n is read from the low bits of x log2 e + 1.5 2^m."""
        single, magic = self.single, 1.5 * 2.0**self.mantissa
        x = self.clamped(x, *((-104.0, 89.0) if single else (-746.0, 710.0)))
        shifted = self.fma(x, self.number(LOG2_E), self.number(magic))
        n = self.subtract(shifted, self.number(magic))
        high, low = (0.693359375, -2.12194440e-4)
        if not single:
            high, low = (6.93145751953125e-1, 1.42860682030941723e-6)
        r = self.fma(n, self.number(-high), x)
        r = self.fma(n, self.number(-low), r)
        terms = of.EXP if single else tuple(1 / math.factorial(k) for k in range(13, 1, -1))
        y = self.fma(self.polynomial(r, terms), self.multiply(r, r), r)
        y = self.add(y, self.number(1))
        form = "<f" if single else "<d"
        whole = struct.unpack("<i" if single else "<q", struct.pack(form, magic))[0]
        return self._scaled(y, self.bits("sub", self.as_bits(shifted), self.integer(whole)))

    def _scaled(self, y: str, n: str) -> str:
        """y 2^n in two factors, since the result may be subnormal."""
        half = self.bits("ashr", n, self.integer(1))
        for part in (half, self.bits("sub", n, half)):
            biased = self.bits("add", part, self.integer(self.bias))
            power = self.as_number(self.bits("shl", biased, self.integer(self.mantissa)))
            y = self.multiply(y, power)
        return y

    def log(self, x: str) -> str:
        """e ln 2 + log m, where x = m 2^e and sqrt(1/2) <= m < sqrt 2."""
        root, tiny = (0x3F3504F3, 2.0**-126) if self.single else (0x3FE6A09E667F3BCD, 2.0**-1022)
        small = self.compare("olt", x, self.number(tiny))
        y = self.select(small, self.multiply(x, self.number(2.0**self.mantissa)), x)
        bits = self.bits("sub", self.as_bits(y), self.integer(root))
        e = self.bits("ashr", bits, self.integer(self.mantissa))
        m = self.bits("and", bits, self.integer((1 << self.mantissa) - 1))
        m = self.as_number(self.bits("add", m, self.integer(root)))
        f = self.subtract(m, self.number(1))
        e = self.code.op(f"sitofp {self.bits_type} {e} to {self.type}")
        e = self.select(small, self.subtract(e, self.number(self.mantissa)), e)
        y = self._log_single(f, e) if self.single else self._log_double(f, e)
        y = self.select(self.compare("oeq", x, self.number(0)), self.number(-math.inf), y)
        y = self.select(self.compare("olt", x, self.number(0)), self.number(math.nan), y)
        # infinity and NaN are their own logarithms
        return self.select(self.compare("olt", x, self.number(math.inf)), y, x)

    def _log_single(self, f: str, e: str) -> str:
        z = self.multiply(f, f)
        y = self.multiply(self.multiply(self.polynomial(f, of.LOG), f), z)
        y = self.fma(e, self.number(-2.12194440e-4), y)
        y = self.fma(z, self.number(-0.5), y)
        return self.fma(e, self.number(0.693359375), self.add(f, y))

    def _log_double(self, f: str, e: str) -> str:
        """log(1 + f) = f - f^2/2 + s (f^2/2 + z p(z)), s = f / (2 + f), z = s^2 (fdlibm)."""
        s = self.divide(f, self.add(f, self.number(2)))
        z = self.multiply(s, s)
        p = self.polynomial(z, tuple(2 / (2 * k + 1) for k in range(11, 0, -1)))
        h = self.multiply(self.multiply(f, f), self.number(0.5))
        y = self.multiply(s, self.fma(z, p, h))
        y = self.fma(e, self.number(1.90821492927058770002e-10), y)
        y = self.subtract(f, self.subtract(h, y))
        return self.fma(e, self.number(6.93147180369123816490e-1), y)

    def log1p(self, x: str) -> str:
        """log(u) x / (u - 1), u = 1 + x: the rounding of u cancels (Kahan)."""
        u = self.add(x, self.number(1))
        y = self.multiply(self.log(u), self.divide(x, self.subtract(u, self.number(1))))
        y = self.select(self.compare("oeq", u, self.number(math.inf)), u, y)
        return self.select(self.compare("oeq", u, self.number(1)), x, y)

    def expm1(self, x: str) -> str:
        """(u - 1) x / log u, u = e^x (Kahan)."""
        u = self.exp(x)
        less = self.subtract(u, self.number(1))
        y = self.multiply(less, self.divide(x, self.log(u)))
        y = self.select(self.compare("oeq", less, self.number(-1)), less, y)
        y = self.select(self.compare("oeq", u, self.number(math.inf)), u, y)
        return self.select(self.compare("oeq", u, self.number(1)), x, y)

    def tanh(self, x: str) -> str:
        """A rational function near 0, and (1 - e^-2|x|) / (1 + e^-2|x|) elsewhere."""
        if self.single:
            y = self.clamped(x, -7.90531110763549805, 7.90531110763549805)
            z = self.multiply(y, y)
            top = self.multiply(y, self.polynomial(z, of.TANH_TOP))
            y = self.divide(top, self.polynomial(z, of.TANH_BOTTOM))
            tiny = self.compare("olt", self.intrinsic("fabs", x), self.number(0.0004))
            return self.select(tiny, x, y)
        z = self.multiply(x, x)
        near = self.divide(self.polynomial(z, of.NEAR_TOP), self.polynomial(z, of.NEAR_BOTTOM))
        near = self.fma(self.multiply(x, z), near, x)
        size = self.intrinsic("fabs", x)
        e = self.exp(self.multiply(size, self.number(-2)))
        far = self.divide(self.subtract(self.number(1), e), self.add(self.number(1), e))
        far = self.intrinsic("copysign", far, x)
        return self.select(self.compare("olt", size, self.number(0.625)), near, far)

    def ndtr(self, x: str) -> str:
        """The normal distribution function, (1 + erf(x / sqrt 2)) / 2, computed in float64."""
        if self.single:
            wide = Functions(self.code, "f8", self.lanes)
            y = wide.ndtr(self.code.op(f"fpext {self.type} {x} to {wide.type}"))
            return self.code.op(f"fptrunc {wide.type} {y} to {self.type}")
        u = self.multiply(x, self.number(math.sqrt(0.5)))
        size, square = self.intrinsic("fabs", u), self.multiply(u, u)
        erf = self._quotient(square, of.ERF_TOP, of.ERF_BOTTOM)
        half = self.number(0.5)
        near = self.fma(self.multiply(u, erf), half, half)
        middle = self._quotient(size, of.ERFC_TOP, of.ERFC_BOTTOM)
        far = self._quotient(size, of.TAIL_TOP, of.TAIL_BOTTOM)
        erfc = self.select(self.compare("olt", size, self.number(8)), middle, far)
        erfc = self.multiply(erfc, self.exp(self.negative(square)))
        erfc = self.select(self.compare("olt", size, self.number(27)), erfc, self.number(0))
        tail = self.multiply(erfc, half)
        upper = self.subtract(self.number(1), tail)
        tail = self.select(self.compare("ogt", u, self.number(0)), upper, tail)
        y = self.select(self.compare("olt", size, self.number(1)), near, tail)
        return self.select(self.compare("uno", x, x), x, y)

    def _quotient(self, x: str, top: tuple[float, ...], bottom: tuple[float, ...]) -> str:
        return self.divide(self.polynomial(x, top), self.polynomial(x, bottom))
