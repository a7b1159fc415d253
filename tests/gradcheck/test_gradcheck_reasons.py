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
