"""Options of methods, callbacks, schedules ... are checked where they are assigned.

`tests/test_contract_options.py` tests the same of layers, losses, penalties and optimizers, whose
options also act in recorded steps.
"""

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.network.uncertain import Uncertainty
from tests.kinds import subclasses

FAMILIES = [mg.Method, mg.Callback, mg.Schedule, mg.Metric, mg.Initializer, Uncertainty]
MADE = {
    "Constant": lambda: mg.Constant(0.5),
    "Laplace": lambda: mg.Laplace(np.eye(2), noise=[0.5]),
    "Noise": lambda: mg.Noise(0.5),
}
PUBLIC = {getattr(mg, name) for name in mg.__all__}
CLASSES = sorted(
    {cls for family in FAMILIES for cls in subclasses(family)} & PUBLIC,
    key=lambda cls: cls.__name__,
)
JUNK = {"negative": -1, "text": "x", "none": None, "nan": np.nan, "list": [1, 2, 3], "zero": 0}


def made(cls):
    if cls.__name__ in MADE:
        return MADE[cls.__name__]()
    return cls.example() if hasattr(cls, "example") else cls()


OPTIONS = [(cls, name) for cls in CLASSES for name in made(cls).config()]
every_option = pytest.mark.parametrize(
    ("cls", "name"), OPTIONS, ids=[f"{cls.__name__}-{name}" for cls, name in OPTIONS]
)


def outcome(call):
    """The error of a call, or None."""
    try:
        call()
    except (ValueError, TypeError) as error:
        return type(error), str(error)
    return None


def test_the_families_are_found():
    names = {cls.__name__ for cls in CLASSES}
    assert {"LBFGS", "LevenbergMarquardt", "EarlyStopping", "CosineDecay", "TopK"} <= names
    assert {"Orthogonal", "Noise", "Laplace"} <= names


@every_option
@pytest.mark.parametrize("junk", JUNK)
def test_an_assignment_is_checked_as_by_the_constructor(cls, name, junk):
    thing, value = made(cls), JUNK[junk]
    before, shown = thing.config(), repr(thing)
    expected = outcome(lambda: cls(**before | {name: value}))
    assert outcome(lambda: setattr(thing, name, value)) == expected
    if expected:
        assert repr(thing) == shown
    else:
        assert repr(thing) == repr(cls(**before | {name: value}))


def test_most_junk_is_refused():
    refused = [
        outcome(lambda cls=cls, name=name: setattr(made(cls), name, "x")) for cls, name in OPTIONS
    ]
    assert sum(error is not None for error in refused) > 0.8 * len(refused)


def test_a_method_trains_with_what_was_assigned():
    x, y = mg.datasets.moons(40, noise=0.1, random_state=0)

    def trained(method):
        model = mg.Sequential(
            [mg.Dense(2, 4), mg.Tanh(), mg.Dense(4, 1)],
            loss=mg.SigmoidCrossEntropy(),
            random_state=0,
        )
        model.fit(x, y, optimizer=method, epochs=4, verbose=0)
        return model.params

    assigned = mg.LevenbergMarquardt()
    trained(assigned)
    assigned.mu, assigned.increase, assigned.groups = 1e-3, 10.0, "layers"
    made_so = mg.LevenbergMarquardt(mu=1e-3, increase=10.0, groups="layers")
    np.testing.assert_array_equal(trained(assigned), trained(made_so))


class Counting(mg.Callback):
    """Counts in an attribute that is an argument of its constructor."""

    made = 0

    def __init__(self, left):
        Counting.made += 1
        self.left, self.first = left, left

    def on_epoch_end(self, epoch, logs):
        self.left -= 1


def test_a_callback_of_ones_own_may_count_in_its_arguments():
    counting = Counting(5)
    model = mg.Sequential([mg.Dense(1, 1)], loss=mg.MeanSquaredError(), random_state=0)
    model.fit(np.eye(1), np.eye(1), optimizer=mg.Adam(), epochs=3, callbacks=[counting], verbose=0)
    assert (counting.left, counting.first, Counting.made) == (2, 5, 1)
