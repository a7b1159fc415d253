"""Public calls with mistaken arguments work, or say what was expected."""

import inspect
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import mlpgrad as mg
from benchmarks import fuzz
from benchmarks.fuzz_values import GOOD, usual

pytestmark = pytest.mark.slow

pytest.importorskip("matplotlib")
pytest.importorskip("pandas")

EXAMPLES = 1000  # with two or more calls each


def test_no_call_ends_in_an_error_of_numpy_or_python(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    total = fuzz.Outcome()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.randoms(use_true_random=False))
    def calls(draw):
        outcome = fuzz.Outcome()
        for _ in range(2):
            fuzz.one_call(draw, outcome)
        total.update(outcome)
        assert outcome.defects == {}

    calls()
    assert total.total() >= 2000
    assert total["own error"] > 0.2 * total.total()
    assert total["returned"] > 0.2 * total.total()


def test_calls_of_plain_seeds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome, draw = fuzz.Outcome(), random.Random(1)
    while outcome.total() < 500:
        fuzz.one_call(draw, outcome)
    assert outcome.defects == {}


def raised(function, *arguments):
    """How the fuzz classifies the end of a call."""
    outcome = fuzz.Outcome()
    fuzz.call(outcome, lambda: "", function, *arguments)
    (kind,) = outcome
    return kind


def test_errors_are_told_apart():
    def raw():
        raise ZeroDivisionError

    callers = {}
    exec(compile("def own(): raise ZeroDivisionError", fuzz.__file__, "exec"), callers)

    def warned():
        import warnings

        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        mg.Dense(0, 1)

    assert raised(mg.Dense, 4, 3) == "returned"
    assert raised(mg.Dense, 0, 3) == "own error"
    assert raised(mg.Dense, 4) == "own error"
    assert raised(raw, 4) == "signature"
    assert raised(mg.load, "missing") == "own error"
    assert raised(open, "missing") == "file system"
    assert raised(callers["own"]) == "the caller's own error"
    assert raised(raw) == "defect: raw error"
    assert raised(warned) == "defect: a warning before the error"
    assert raised(mg.Tanh().apply, "text", None) == "own error"
    assert raised(mg.Tanh()._direct_apply, "text", None) == "defect: raw error"
    assert raised(mg.Layer().forward, np.ones(3)) == "own error"


def test_every_call_has_usual_arguments():
    # otherwise a new function would always be called with too few arguments
    scene = usual(random.Random(0))
    functions = list(fuzz.FUNCTIONS.values())
    for name in ("model", "ensemble", "history", "optimizer", "schedule"):
        subject = scene[name]()
        functions += [getattr(subject, method) for method in fuzz.members_of(subject)[0]]
    needed = {name for f in functions for name in fuzz.parameters_of(inspect.unwrap(f))[1]}
    assert needed - GOOD.keys() - fuzz.RECEIVERS == set()


def test_what_is_called_is_what_is_public():
    called = {cls.__name__ for cls in fuzz.CLASSES} | {name[3:] for name in fuzz.FUNCTIONS}
    results = {"Explanation", "GradientReport", "History", "TrainingWarning"}
    kinds = [getattr(mg, name) for name in mg.__all__]
    results |= {k.__name__ for k in kinds if isinstance(k, type) and issubclass(k, Exception)}
    missing = set(mg.__all__) - called - results - {"datasets", "plotting"}
    assert missing == set()
