"""Functions of which a part is rounded to float32, or to decimals, and another part is not."""

from collections import Counter

import numpy as np
import pytest

import mlpgrad as mg


def model(seed, dtype, penalty=5e-3):
    """A float32 model with a float64 penalty, and the gradient with a factor for each part."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(32, 4)).astype("f4"), rng.normal(size=32).astype("f4")

    def f(w):
        data = ((np.tanh(x @ w.astype("f4")) - y) ** 2).mean()
        return float(data) + penalty * float(w @ w)

    def gradient(w, data=1.0, decay=1.0):
        t = np.tanh(x.astype(float) @ w)
        found = data * (x.T @ (2 * (t - y) * (1 - t * t))) / 32 + decay * 2 * penalty * w
        return found.astype(w.dtype)

    return f, gradient, rng.normal(size=4).astype(dtype)


@pytest.mark.parametrize("method", ["auto", "central", "ridders", "coordinates"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_correct_gradient_of_a_float32_model_with_a_float64_penalty(dtype, method):
    """The smallest steps see the penalty only, since the model stands still there."""
    verdicts = Counter()
    for seed in range(12):
        f, gradient, w = model(seed, dtype)
        verdicts[mg.check_gradient(f, gradient, w, seed=seed, method=method).verdict.value] += 1
    assert verdicts["PASS"] >= 11, verdicts
    assert not verdicts["FAIL"], verdicts


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("data", "decay"), [(0, 1), (2, 1), (1.02, 1), (-1, 1), (1, 0), (1, 2)])
def test_neither_part_of_the_gradient_may_be_wrong(data, decay, dtype):
    for seed in range(12):
        f, gradient, w = model(seed, dtype)
        report = mg.check_gradient(f, lambda w, g=gradient: g(w, data, decay), w, seed=seed)
        assert not report, str(report)


def test_the_report_says_that_such_a_function_computes_in_float32():
    f, gradient, w = model(0, "f8")
    assert mg.check_gradient(f, gradient, w).precision == "float32"


@pytest.mark.parametrize("decimals", [4, 6])
def test_a_rounded_value_with_an_exact_penalty(decimals):
    def f(p):
        return round(float(np.sin(p).sum()), decimals) + 0.005 * float(p @ p)

    for seed in range(12):
        p = np.random.default_rng(seed).normal(size=8)
        report = mg.check_gradient(f, lambda p: np.cos(p) + 0.01 * p, p, seed=seed)
        assert report.verdict.value in ("PASS", "INCONCLUSIVE"), str(report)
        for wrong in (lambda p: 0.01 * p, lambda p: 1.05 * np.cos(p) + 0.01 * p):
            assert not mg.check_gradient(f, wrong, p, seed=seed)


@pytest.mark.parametrize("away", [0.02, 1e-7])
def test_a_single_jump_beside_the_point_is_not_taken_for_rounding(away):
    p = np.array([1.0, -2.0, 0.5])
    for seed in range(12):
        for factor, expected in ((1.0, "PASS"), (1.0001, "FAIL")):
            report = mg.check_gradient(
                lambda p: float(p @ p) + float(p[0] > 1 + away),
                lambda p, c=factor: 2 * c * p,
                p,
                seed=seed,
            )
            assert report.verdict.value in (expected, "INCONCLUSIVE"), str(report)
            assert away < 1e-3 or report.verdict.value == expected


def test_a_linear_function_that_is_rounded_to_float32():
    """It has neither a wrong gradient nor a stale one."""
    rng = np.random.default_rng(0)
    a, x = rng.normal(size=(5, 5)), rng.normal(size=5)
    for seed in (*range(12), 65, 69, 87, 128, 177, 201):
        for factor, expected in ((1.0, "PASS"), (1.01, "FAIL")):
            report = mg.check_vjp(
                lambda x: (a @ x).astype("f4"), lambda x, v, c=factor: c * a.T @ v, x, seed=seed
            )
            assert report.verdict.value == expected, str(report)
