"""What a report claims holds: its resolution, its numbers, and what a PASS rests on."""

import re
import tracemalloc

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.gradcheck.conclusions import verdict_of
from mlpgrad.gradcheck.numeric.derivative import Estimate, Scheme
from mlpgrad.gradcheck.numeric.judgement import Finding, Outcome
from mlpgrad.gradcheck.numeric.problem import Direction, Leaf


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


@pytest.mark.parametrize("here", ["EMPTY", "UNSURE"])
@pytest.mark.parametrize("there", ["EMPTY", "UNSURE"])
def test_a_pass_rests_on_at_least_one_slope(here, there):
    direction = Direction(0, 0, 1, np.ones(1), 1.0, 1.0, 1e-3)
    estimate = Estimate(1.0, 2.0, 1e-3, Scheme.ORDER_6)
    first, second = (Finding(Outcome[name], direction, estimate, 2.0) for name in (here, there))
    report = verdict_of(Leaf("params", 0, 1, (1,)), [first], [second])
    assert report.verdict.value in ("NO_POWER", "INCONCLUSIVE")


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


# elements that are named, and hints


def sine(p):
    return float(np.sin(p).sum())


def with_mistake(change):
    def gradient(p):
        found = np.cos(p)
        change(found)
        return found

    return gradient


@pytest.mark.parametrize("n", [100, 30_000, 150_000])
def test_the_element_that_is_named_is_wrong(n):
    wrong = n // 3

    def gradient(p):
        found = 20 * np.cos(20 * p)
        found[wrong] *= 1.5
        return found

    point = 0.5 + np.arange(n) / n
    report = mg.check_gradient(lambda p: float(np.sin(20 * p).sum()), gradient, point)
    assert report.verdict.value == "FAIL"
    assert [culprit.name for culprit in report.culprits] in ([], [f"params[{wrong}]"])
    assert n > 1e5 or report.culprits


def test_a_long_gradient_is_checked_in_memory_for_a_few_vectors():
    point = np.full(150_000, 0.5)

    def change(g):
        g[5] = 0

    tracemalloc.start()
    mg.check_gradient(sine, with_mistake(change), point)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25 * point.nbytes


def test_elements_that_were_not_measured_are_not_called_correct():
    def change(g):
        g[: len(g) // 2] *= 2

    point = 0.5 + np.arange(10_000) / 10_000
    (hint,) = mg.check_gradient(sine, with_mistake(change), point).hints
    assert "where its values are below about" in hint, hint
    point = np.random.default_rng(0).permutation(point)
    (hint,) = mg.check_gradient(sine, with_mistake(change), point).hints
    assert hint.endswith(" and others"), hint


FACTORS = (-1.0, 0.5, 2.0, 1.001)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("factor", FACTORS)
def test_uncertain_elements_give_no_false_hint(factor):
    given = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        small = 10.0 ** rng.uniform(-9, -3)
        w, point = rng.normal(size=6), rng.normal(size=6)
        point[:3] *= small
        report = mg.check_gradient(
            lambda p, w=w: 1e6 + float(w @ np.abs(p) + np.exp(p).sum()),
            lambda p, w=w: factor * (w * np.sign(p) + np.exp(p)),
            point,
            seed=seed,
        )
        for hint in report.hints:
            given += 1
            found = re.search("is (.*) times the correct one( throughout|:)", hint)
            assert found, hint
            assert abs(float(found[1]) / factor - 1) < 1e-4, hint
    assert given >= 4


def test_equal_elements_of_both_signs_are_not_clipped():
    for seed in range(8):
        rng = np.random.default_rng(seed)
        w = rng.normal(size=5)
        report = mg.check_gradient(
            lambda p, w=w: float(w @ p), lambda p, w=w: np.full(5, w.sum()), rng.normal(size=5)
        )
        assert not any("clipped" in hint for hint in report.hints), report.hints


def test_a_dtype_that_numpy_does_not_have_is_named():
    torch = pytest.importorskip("torch")
    point = torch.ones(3, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match=r"params expects numbers in a dtype of NumPy.*\.float\(\)"):
        mg.check_gradient(lambda p: 0.0, lambda p: p, point)
    with pytest.raises(TypeError, match=r"value of f expects .*bfloat16; convert with \.float"):
        mg.check_gradient(lambda p: point.sum(), lambda p: p, np.ones(3))


def test_messages_about_a_product_do_not_speak_of_a_gradient():
    point = np.arange(3.0)
    report = mg.check_vjp(np.sin, lambda x, v: np.multiply(v, np.cos(x), out=x), point)
    assert report.protocol["MUTATES_INPUT"].startswith("the product changes its argument x")
    with pytest.raises(TypeError, match="the product must be like x, got None"):
        mg.check_vjp(np.sin, lambda x, v: None, point)
