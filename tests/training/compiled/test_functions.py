"""The compiled functions of one number are accurate over the whole range."""

import numpy as np
import pytest
from scipy import special

pytest.importorskip("llvmlite", reason="the extra `compiled` is not installed")

from mlpgrad.training.compiled.operands import NotCoveredError
from mlpgrad.training.compiled.values import literal
from tests.training.compiled.running import compiled

# largest errors in units in the last place: float32, float64
BOUNDS = {
    "exp": (2, 2),
    "log": (2, 2),
    "tanh": (5, 2),
    "log1p": (4, 4),
    "expm1": (4, 4),
    "ndtr": (2, 60),
}
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0]
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def numbers(dtype, name):
    """Numbers of all signs and sizes within the interesting range of the function."""
    info, rng = np.finfo(dtype), np.random.default_rng(0)
    sizes = np.exp(rng.uniform(np.log(float(info.tiny)), np.log(float(info.max)), 4000))
    near = rng.normal(size=4000) * 3, rng.uniform(-40, 40, 4000), rng.uniform(0.4, 2.5, 4000)
    found = np.concatenate([*near, sizes, -sizes, SPECIAL, [info.max, info.tiny, info.eps]])
    if name in ("exp", "expm1"):
        found = np.concatenate([found, rng.uniform(-110, 90, 4000)])
    return np.clip(found, -float(info.max), float(info.max)).astype(dtype)


def reference(name, x):
    """The function with more digits than the tested dtypes have."""
    wide = x.astype(np.longdouble)
    if name == "ndtr":  # without longdouble; SciPy's own error is below the bound
        return special.ndtr(x.astype(np.float64)).astype(np.longdouble)
    return getattr(np, name)(wide)


@each_dtype
@pytest.mark.parametrize("name", BOUNDS)
def test_a_function_is_accurate(name, dtype):
    x = numbers(dtype, name)
    out = np.empty_like(x)
    function = special.ndtr if name == "ndtr" else getattr(np, name)
    ((_, _), (_, found)) = compiled(lambda x, out: function(x, out), x, out)
    with np.errstate(all="ignore"):
        exact = reference(name, x)
        rounded = exact.astype(dtype)
        unit = np.spacing(np.abs(rounded)).astype(np.longdouble)
        error = np.abs(found.astype(np.longdouble) - exact) / unit
    finite = np.isfinite(rounded) & np.isfinite(found)
    subnormal = np.abs(exact) < np.finfo(dtype).tiny  # may be 0
    assert np.isin(found[subnormal], [0, np.finfo(dtype).tiny]).all()
    finite &= ~subnormal
    if name == "ndtr":  # SciPy flushes subnormal results below to zero
        finite &= x > -37.5
    assert error[finite].max() <= BOUNDS[name][dtype is np.float64]
    largest = np.abs(rounded) >= np.finfo(dtype).max * (1 - 1e-6)
    other = ~finite & ~largest & ~np.isfinite(rounded)
    np.testing.assert_array_equal(found[other], rounded[other])


FLAT = {  # from where on the function is this number, in float32 and float64
    "tanh": [(9.02, 19.07, 1.0), (-9.02, -19.07, -1.0)],
    "exp": [(-104, -746, 0.0)],
    "expm1": [(-18, -38, -1.0)],
    "ndtr": [(5.5, 8.3, 1.0), (-15, -39, 0.0)],
}


@each_dtype
@pytest.mark.parametrize("name", FLAT)
def test_a_function_is_exact_where_it_is_flat(name, dtype):
    """A slope such as 1 - y^2 is then 0: of another one, Adam makes a whole step."""
    function = special.ndtr if name == "ndtr" else getattr(np, name)
    for *starts, value in FLAT[name]:
        start = starts[dtype is np.float64]
        x = np.append(start * np.geomspace(1, 1e30, 500), np.copysign(np.inf, start)).astype(dtype)
        ((_, _), (_, found)) = compiled(lambda x, out: function(x, out), x, np.empty_like(x))
        np.testing.assert_array_equal(found, value)
    x = np.linspace(-25, 25, 100_001).astype(dtype)
    ((_, _), (_, found)) = compiled(lambda x, out: function(x, out), x, np.empty_like(x))
    low, high = (function(np.array(limit)) for limit in (-np.inf, np.inf))
    assert found.min() >= low
    assert found.max() <= high


EXACT = [
    *("add", "subtract", "multiply", "divide", "maximum", "minimum", "copysign"),
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
    *("negative", "sqrt", "reciprocal", "square", "absolute", "fabs", "sign", "rint"),
]


@each_dtype
@pytest.mark.parametrize("name", EXACT)
def test_arithmetic_gives_the_bits_of_numpy(name, dtype):
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(7, 5)).astype(dtype) for _ in range(2))
    x[0, :3], y[0, :4] = [np.nan, np.inf, 0], [1, -np.inf, 0, np.nan]
    x[1] = y[1]
    ufunc = getattr(np, name)
    out = np.empty((7, 5), bool if name.endswith(("equal", "greater", "less")) else dtype)
    given = (x, y)[: ufunc.nin]
    found = compiled(lambda *a: ufunc(*a[:-1], out=a[-1]), *given, out)
    np.testing.assert_array_equal(*found[-1])


@each_dtype
def test_a_constant_may_be_an_operand(dtype):
    x = np.array([np.nan, -2, 0.5, 3, np.inf], dtype)
    zero = np.zeros((), dtype)
    zero.flags.writeable = False
    for ufunc in (np.maximum, np.minimum, np.add):
        out = np.empty_like(x)
        np.testing.assert_array_equal(
            *compiled(lambda x, o, f=ufunc: f(x, zero, out=o), x, out)[-1]
        )


@pytest.mark.parametrize("kind", ["f4f8", "f8f4"])
def test_numbers_of_two_types_are_subtracted_in_the_wider_one(kind):
    x, y = np.ones(7, kind[:2]), np.full(7, 1 + 1e-5, kind[2:])
    found = compiled(lambda x, y, o: np.subtract(x, y, out=o), x, y, np.empty(7, np.float32))
    np.testing.assert_array_equal(*found[-1])


@each_dtype
def test_calls_that_share_a_loop_read_what_the_others_have_written(dtype):
    rng = np.random.default_rng(0)
    x, y, out = (rng.normal(size=(3, 4, 5)).astype(dtype) for _ in range(3))

    def write(x, y, out):
        np.multiply(x, y, out)
        np.add(out, x, x)  # in place
        np.subtract(x[0], y[0], out[0])  # a part
        np.add(out[:, :1], y, x)  # broadcast: not in one loop

    for by_numpy, ours in compiled(write, x, y, out):
        np.testing.assert_array_equal(by_numpy, ours)


def test_square_roots_are_rounded_correctly_for_every_mantissa_and_near_the_limits():
    """The root of 4 x is twice that of x, unless a number or a residue is subnormal."""
    mantissa = np.arange(1 << 23, dtype=np.uint32)
    exponents = [np.uint32(exponent << 23) for exponent in (1, 30, 31, 32, 127, 128, 254)]
    every = ((mantissa | exponent).view(np.float32) for exponent in exponents)
    for x in (*every, np.tile(np.array(SPECIAL, np.float32), 16)):
        for by_numpy, ours in compiled(np.sqrt, x, np.empty_like(x)):
            np.testing.assert_array_equal(ours, by_numpy)


def test_a_call_that_overwrites_what_it_reads_elsewhere_is_refused():
    x = np.arange(12.0).reshape(3, 4)
    for write in (
        lambda x: np.add(x[:, :1], x, x),
        lambda x: np.add(x[1:], x[:-1], x[:-1]),
    ):
        with pytest.raises(NotCoveredError, match="into a part of what it reads"):
            compiled(write, x)


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_the_sign_of_0_is_written_whichever_comes_first(kind):
    assert [literal(zero, kind)[2] for zero in (0.0, -0.0, 0.0, -0.0)] == ["0", "8", "0", "8"]
