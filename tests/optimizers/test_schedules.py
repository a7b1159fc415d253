"""Schedules: PyTorch's curves, their ends, and use with an optimizer."""

import copy
import json
import pickle

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.optimizers.schedules import (
    ConstantSchedule,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    StepDecay,
    WarmUp,
)
from tests.golden.make_optimizers import PATH
from tests.kinds import compare_with_golden, subclasses

GOLDEN = json.loads(PATH.read_text())["schedules"]
LACKING = {"ConstantSchedule": "it is one number"}
SCHEDULES = {
    "step": StepDecay(0.5, 7, factor=0.3),
    "exponential": ExponentialDecay(0.5, 0.9),
    "cosine": CosineDecay(0.5, 20),
    "cosine floor": CosineDecay(0.5, 20, floor=0.1),
    "one cycle": OneCycle(0.5, 40),
    "one cycle options": OneCycle(0.5, 25, rising=0.45, start_divisor=10, end_divisor=50),
    "warm-up": WarmUp(0.5, 8),
    "warm-up cosine": WarmUp(CosineDecay(0.5, 20), 5),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_a_schedule_equals_pytorchs(name):
    rates = [SCHEDULES[name](steps) for steps in range(len(GOLDEN[name]))]
    np.testing.assert_allclose(rates, GOLDEN[name], rtol=1e-12, atol=1e-15)


def test_every_schedule_has_golden_rates():
    compared = {type(schedule).__name__ for schedule in SCHEDULES.values()}
    compare_with_golden(
        subclasses(mg.Schedule), compared, LACKING, "tests/golden/make_optimizers.py"
    )
    assert SCHEDULES.keys() == GOLDEN.keys(), "run make_optimizers.py"
    assert ConstantSchedule(0.3)(7) == 0.3


@pytest.mark.parametrize(
    ("schedule", "end"),
    [
        (CosineDecay(0.5, 20, floor=0.1), 0.1),
        (OneCycle(0.5, 40), 0.5 / 25 / 1e4),
        (WarmUp(0.5, 8), 0.5),
        (WarmUp(ExponentialDecay(0.5, 0.5, every=92), 8), 0.25),
    ],
)
def test_a_schedule_stays_at_its_end(schedule, end):
    assert schedule(100) == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_gives_floats_and_can_be_copied(schedule):
    for twin in (
        copy.deepcopy(schedule),
        pickle.loads(pickle.dumps(schedule)),
        eval(repr(schedule), vars(mg)),
    ):
        assert [twin(t) for t in range(30)] == [schedule(t) for t in range(30)]
    assert type(schedule(3)) is float


def test_an_optimizer_follows_a_schedule_and_can_be_pickled_with_it():
    schedule = WarmUp(CosineDecay(0.1, 10), 3)
    optimizer, params = mg.SGD(schedule), np.zeros(1)
    for steps in range(5):
        optimizer.step(params, np.ones(1))
        assert optimizer.current_learning_rate == schedule(steps)
    assert params[0] == pytest.approx(-sum(schedule(t) for t in range(5)))
    twin = pickle.loads(pickle.dumps(optimizer))
    twin.step(params, np.ones(1))
    assert twin.current_learning_rate == schedule(5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConstantSchedule(-1), r"ConstantSchedule: rate expects a number in \[0, inf\)"),
        (lambda: StepDecay(0.1, 0), "every expects a number"),
        (lambda: StepDecay(0.1, 5, factor=0), r"factor expects a number in \(0, inf\)"),
        (lambda: ExponentialDecay(0.1, factor=-1), "factor expects a number"),
        (lambda: CosineDecay("0.1", 5), "rate expects a number"),
        (lambda: CosineDecay(0.1, 0), "steps expects a number"),
        (lambda: CosineDecay(0.1, 5, floor=-1), "floor expects a number"),
        (lambda: OneCycle(0.1, 1), "steps expects a number"),
        (lambda: OneCycle(0.1, 10, rising=1.0), r"rising expects a number in \(0, 1\), got 1.0"),
        (lambda: OneCycle(0.1, 10, start_divisor=0.5), "start_divisor expects a number"),
        (lambda: WarmUp(-0.1, 10), "rate expects a number"),
        (lambda: WarmUp(0.1, 0), "steps expects a number"),
    ],
)
def test_a_bad_option_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
