"""What every schedule promises."""

import copy
import math
import pickle

import numpy as np
import pytest

import mlpgrad as mg
from tests.counting import lines_run
from tests.kinds import every, example, subclasses

SCHEDULES = subclasses(mg.Schedule)
STEPS = [*range(200), 999, 12_345, 10**6, 10**9]

every_schedule = every(SCHEDULES)


@every_schedule
def test_rates_are_finite_floats_and_not_negative(cls):
    rates = [example(cls)(steps) for steps in STEPS]
    assert {type(rate) for rate in rates} == {float}
    assert all(0 <= rate < math.inf for rate in rates)
    assert max(rates) > 0


@every_schedule
def test_a_rate_depends_on_the_steps_alone(cls):
    schedule = example(cls)
    before = repr(schedule), copy.deepcopy(vars(schedule)).keys()
    forward = [schedule(steps) for steps in STEPS]
    backward = [schedule(steps) for steps in reversed(STEPS)]
    assert backward[::-1] == forward == [example(cls)(steps) for steps in STEPS]
    assert (repr(schedule), vars(schedule).keys()) == before


@every_schedule
@pytest.mark.parametrize("steps", [10, 10**3, 10**6, 10**9])
def test_a_rate_costs_the_same_after_many_steps(cls, steps):
    assert lines_run(example(cls), steps) <= 30


@every_schedule
def test_a_copy_gives_the_same_rates(cls):
    schedule = example(cls)
    twins = (
        copy.deepcopy(schedule),
        pickle.loads(pickle.dumps(schedule)),
        cls(**schedule.config()),
        eval(repr(schedule), vars(mg).copy()),
    )
    for twin in twins:
        assert [twin(steps) for steps in STEPS] == [schedule(steps) for steps in STEPS]


@every_schedule
def test_an_optimizer_follows_it(cls):
    optimizer, params = mg.SGD(example(cls)), np.zeros(2)
    for steps in range(40):
        optimizer.step(params, np.ones(2))
        assert optimizer.current_learning_rate == example(cls)(steps)
    np.testing.assert_allclose(params, -sum(map(example(cls), range(40))), rtol=1e-12)
