"""Hints give the reason for each of many wrong gradients, and never a false one."""

import numpy as np
import pytest

import mlpgrad as mg
from tests.gradcheck.wrong_functions import CASES

SEEDS = range(3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_hint_gives_the_reason(case):
    for seed in SEEDS:
        f, correct, wrong, params = case.make(np.random.default_rng(seed))
        if correct is not None:
            report = mg.check_gradient(f, correct, params, seed=seed)
            assert report.verdict.value == "PASS", str(report)
        report = mg.check_gradient(f, wrong, params, seed=seed)
        assert report.verdict.value == "FAIL", str(report)
        said = set(report.codes)
        assert said <= case.codes, str(report)
        assert said or not case.codes, str(report)


def test_there_are_enough_cases_and_most_have_a_reason():
    assert len(CASES) >= 40
    assert sum(bool(case.codes) for case in CASES) >= 30


@pytest.mark.parametrize("size", [1e-4, 3e-5, 1e-5, 1e-6])
def test_a_small_error_without_a_pattern_has_no_reason(size):
    """What fits within a tolerance that is larger than the error explains nothing."""
    for n in (3, 4, 8):
        rng = np.random.default_rng(n)
        weights, error, point = rng.normal(size=(3, n))

        def f(p, weights=weights):
            return float(np.sin(p) @ weights)

        def wrong(p, weights=weights, error=error):
            return np.cos(p) * weights * (1 + size * error)

        assert mg.check_gradient(f, wrong, point).hints == []


@pytest.mark.parametrize("size", [1e-4, 1e-5])
def test_a_small_factor_is_recognised(size):
    point = np.random.default_rng(0).normal(size=8)
    report = mg.check_gradient(
        lambda p: float(np.sin(p).sum()), lambda p: (1 + size) * np.cos(p), point
    )
    words = f"the gradient of params is {1 + size:.9g} times the correct one throughout"
    assert report.hints == [words]
