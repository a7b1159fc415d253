"""The promises of every schedule."""

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


class Given(mg.Schedule):
    """Some valid rates, and then an invalid one."""

    def __init__(self, rate, after=3):
        self.rate, self.after = rate, after

    def __call__(self, steps):
        return self.rate if steps >= self.after else 0.1

    @classmethod
    def example(cls):
        return cls(0.1)


NO_RATES = [float("nan"), float("inf"), -1e-9, np.float32(-1), np.array([0.1, np.nan]), -1]


@pytest.mark.parametrize("rate", NO_RATES, ids=repr)
@pytest.mark.parametrize("way", ["by itself", "within", "function", "step"])
def test_a_rate_that_is_none_is_refused_with_its_step_and_schedule(rate, way):
    schedule = Given(rate)
    if way == "within":
        schedule.needs_total, schedule.within = True, lambda steps, total: Given(rate)(steps)
    optimizer = mg.SGD(schedule.__call__ if way == "function" else schedule)
    params = np.ones(4)
    size = 2 if np.ndim(rate) else None
    model = mg.Sequential(
        [mg.Dense(1, 1)], loss=mg.MeanSquaredError(), random_state=0, ensemble_size=size
    )
    x = np.arange(8.0)[:, None]

    def train():
        if way != "step":
            model.fit(x, x, optimizer=optimizer, epochs=2, batch_size=4, verbose=0)
        for _ in range(4):
            optimizer.step(params, params)

    with pytest.raises(ValueError, match="finite numbers >= 0") as told:
        train()
    assert "for steps=3" in str(told.value)
    assert "Given(" in str(told.value)
    assert np.isfinite(params).all()
    assert np.isfinite(model.params).all()


def test_a_rate_that_is_no_number_is_refused():
    for rate in ("0.1", None, [[0.1]], [[1.0], [2.0, 3.0]], 1j):
        with pytest.raises((TypeError, ValueError), match="learning_rate expects"):
            mg.SGD(Given(rate, 0)).step(np.ones(2), np.ones(2))
