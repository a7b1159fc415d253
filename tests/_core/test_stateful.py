"""Everything that restores a snapshot raises an error for other values: it says what it expects."""

import pytest

import mlpgrad as mg
from mlpgrad._core.stateful import Stateful
from tests.kinds import EVERY_CLASS, example

CLASSES = [cls for cls in EVERY_CLASS if issubclass(cls, Stateful) and hasattr(mg, cls.__name__)]
METHODS = [mg.LBFGS, mg.LevenbergMarquardt, mg.TrustNewton]
OTHERS = {
    "Sequential": lambda: mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError()),
    "TableEncoder": mg.tables.TableEncoder,
}
MADE = {cls.__name__: (lambda cls=cls: example(cls)) for cls in CLASSES}
MADE |= {cls.__name__: cls for cls in METHODS} | OTHERS


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("wrong", [None, [1], 7, "snapshot"], ids=repr)
def test_a_snapshot_is_a_dict(name, wrong):
    with pytest.raises(TypeError, match=rf"{name}\.restore expects the dict that snapshot\(\)"):
        MADE[name]().restore(wrong)


@pytest.mark.parametrize("name", MADE)
def test_a_snapshot_holds_what_the_object_keeps(name):
    with pytest.raises(ValueError, match=rf"{name}\.restore expects a snapshot of \["):
        MADE[name]().restore({"unknown": 1})
