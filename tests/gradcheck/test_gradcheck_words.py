"""What a report claims holds: its resolution, its numbers, and what a PASS rests on."""

import numpy as np
import pytest

import mlpgrad as mg


def single(f):
    return lambda p: float(np.float32(f(p)))


def waves(rng):
    w = rng.normal(size=8)
    return lambda p: float(w @ np.sin(p)), lambda p: w * np.cos(p), rng.normal(size=8)


def largest(rng):
    def gradient(p):
        return np.exp(p - p.max()) / np.exp(p - p.max()).sum()

    return (
        lambda p: float(p.max() + np.log(np.exp(p - p.max()).sum())),
        gradient,
        rng.normal(size=9),
    )


def rotation(rng):
    def gradient(p):
        u, _, v = np.linalg.svd(p, full_matrices=False)
        return u @ v

    return (
        lambda p: float(np.linalg.svd(p, compute_uv=False).sum()),
        gradient,
        rng.normal(size=(4, 3)),
    )


@pytest.mark.parametrize("make", [waves, largest, rotation])
def test_an_accepted_mistake_is_below_the_resolution_that_the_report_states(make):
    accepted = 0
    for seed in range(12):
        f, gradient, point = make(np.random.default_rng(seed))
        size = 10.0 ** -(2 + seed % 4)
        wrong = mg.check_gradient(
            single(f), lambda p, g=gradient, c=1 + size: c * g(p), point, seed=seed
        )
        if wrong:
            accepted += 1
            assert size <= 1.01 * wrong.tensors[0].resolution, str(wrong)
    assert accepted


def edges(rng):
    """Roots, logarithms or arcs, of numbers of which half are close to the end of the domain."""
    small = 10.0 ** rng.uniform(-8, -2)
    point = np.where(rng.random(6) < 0.5, small * rng.uniform(0.3, 3, 6), rng.uniform(0.2, 0.8, 6))
    return point, [
        (lambda p: float(np.sqrt(p).sum()), lambda p: 0.5 / np.sqrt(p)),
        (lambda p: float(np.log(p).sum()), lambda p: 1 / p),
        (lambda p: float(np.arcsin(1 - p).sum()), lambda p: -1 / np.sqrt(1 - (1 - p) ** 2)),
    ][rng.integers(3)]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_are_finite_and_a_stored_gradient_is_found_close_to_the_end_of_a_domain():
    for seed in range(30):
        point, (f, gradient) = edges(np.random.default_rng(seed))
        report = mg.check_gradient(f, gradient, point, seed=seed)
        assert report, str(report)
        assert np.isfinite(report.tensors[0].error), str(report)
        assert np.isfinite(report.tensors[0].resolution), str(report)
        first = gradient(point)
        stored = mg.check_gradient(f, lambda p, g=first: g, point, seed=seed)
        assert not stored, str(stored)


def test_a_pass_rests_on_at_least_one_slope():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        size, plus = rng.uniform(0, 20), 10.0 ** rng.uniform(0, 10)
        report = mg.check_gradient(
            lambda p, c=plus: c + float(np.tanh(p).sum()),
            lambda p: 1 / np.cosh(p) ** 2,
            size + rng.normal(size=4),
            seed=seed,
        )
        tensor = report.tensors[0]
        assert report.verdict.value != "FAIL", str(report)
        assert report.verdict.value != "PASS" or np.isfinite(tensor.error), str(report)


def test_a_constant_in_float32_is_told_as_such():
    point = 10 + np.arange(3.0) / 3
    report = mg.check_gradient(
        single(lambda p: np.tanh(p).sum()), lambda p: 1 / np.cosh(p) ** 2, point
    )
    assert report.verdict.value == "NO_POWER"
    assert "constant here, perhaps since it rounds to float32" in report.tensors[0].note
    wrong = mg.check_gradient(lambda p: 3.0, lambda p: 1e-3 + 0 * p, point)
    assert wrong.verdict.value == "FAIL"


def test_a_gradient_that_is_not_finite_in_float32_is_told_as_such():
    point = np.array([0.5, 2.5e-8, 0.3], np.float32)
    report = mg.check_gradient(
        lambda p: float(np.arcsin(1 - p).sum()),
        lambda p: -1 / np.sqrt(1 - (1 - p) ** 2),
        point,
    )
    assert report.verdict.value == "FAIL"
    assert report.tensors[0].note == "correct in float64, but not finite in float32"


@pytest.mark.parametrize("exponent", [-9, -8, -7, -6, -4, -2])
def test_kinks_close_to_the_point_do_not_disturb(exponent):
    for seed in range(6):
        rng = np.random.default_rng(seed)
        w, point = rng.normal(size=7), rng.normal(size=7)
        point[: rng.integers(1, 6)] *= 10.0**exponent
        args = (lambda p, w=w: float(w @ np.abs(p) + np.exp(p).sum())), point
        correct = mg.check_gradient(
            args[0], lambda p, w=w: w * np.sign(p) + np.exp(p), point, seed=seed
        )
        assert correct, str(correct)
        wrong = mg.check_gradient(
            args[0], lambda p, w=w: np.abs(w) * np.sign(p) + np.exp(p), point, seed=seed
        )
        assert not wrong or exponent < -8, str(wrong)


@pytest.mark.parametrize("waves_in_one", [3e3, 1e4, 1e5])
def test_waves_shorter_than_the_steps_that_float32_allows_do_not_fail(waves_in_one):
    for seed in range(6):
        point = np.random.default_rng(seed).normal(size=4)
        report = mg.check_gradient(
            single(lambda p, w=waves_in_one: p @ p + 0.03 * np.sin(w * p).sum()),
            lambda p, w=waves_in_one: 2 * p + 0.03 * w * np.cos(w * p),
            point,
            seed=seed,
        )
        assert report.verdict.value != "FAIL", str(report)


# vector-Jacobian products with outputs in short formats


def offsets(x):
    return np.array([1.0, 1e2, -1e4, 1e6]) + np.sin(x)


def sizes(x):
    return np.array([1e-44, 1e-6, 1.0, 1e5]) * np.exp(x)


CASES = [
    (offsets, lambda x: np.cos(x), "float32"),
    (sizes, lambda x: np.array([1e-44, 1e-6, 1.0, 1e5]) * np.exp(x), "float32"),
    (lambda x: np.tanh(6 * x), lambda x: 6 / np.cosh(6 * x) ** 2, "float16"),
]
NAMES = ["offsets", "sizes", "saturated"]


@pytest.mark.parametrize(("f", "slope", "dtype"), CASES, ids=NAMES)
def test_the_dtype_of_outputs_tells_how_they_are_rounded(f, slope, dtype):
    for seed in range(4):
        report = mg.check_vjp(
            lambda x: f(x).astype(dtype),
            lambda x, v: v * slope(x),
            np.random.default_rng(seed).normal(size=4),
            seed=seed,
        )
        assert report.verdict.value != "FAIL", str(report)
        assert report.precision == dtype


def test_a_product_that_loses_the_sign_of_v_is_not_linear():
    for seed in range(8):
        report = mg.check_vjp(
            np.sin, lambda x, v: np.abs(v) * np.cos(x), np.array([0.3, 1.2]), seed=seed
        )
        assert report.verdict.value == "NOT_LINEAR_IN_SEED", str(report)
