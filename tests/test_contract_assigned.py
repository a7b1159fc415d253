"""Options assigned to a metric, callback, schedule, method or initializer act or are refused.

The object is then as if it had been made with them: with the derived attributes, such as the name
of a metric, and with the checks of the constructor. What it has kept of a training stays.
"""

import inspect
import pathlib
import re

import numpy as np
import pytest

import mlpgrad as mg
from tests.kinds import KINDS, example, subclasses
from tests.test_contract_options import another

METHODS = [mg.LBFGS, mg.LevenbergMarquardt, mg.TrustNewton]
KIND = ("metric", "callback", "schedule")
CLASSES = [cls for kind in KIND for cls in subclasses(KINDS[kind])]
CLASSES += [*METHODS, *subclasses(mg.Initializer), mg.Noise]
VALUES = {
    "average": "macro",
    "curvature": "gauss_newton",
    "figure": None,
    "groups": "layers",
    "initial_best": 0.3,
    "max_fun": 7,
    "monitor": "val_loss",
    "mode": "max",
    "path": "other-{val_loss:.2f}.npz",
    "rate": 0.3,
    "regularisation": None,
    "steps": 70,
    "validation_data": (np.ones((2, 3)), np.ones((2, 1))),
}


def made(cls):
    """An object of the class, as the contract tests use it."""
    if hasattr(cls, "example"):
        return example(cls)
    return cls(0.5) if cls in (mg.Noise, mg.Constant) else cls()


def options():
    """Each option of each class, with another value than that of the example."""
    for cls in CLASSES:
        for name, value in made(cls).config().items():
            new = VALUES[name] if name in VALUES else another(name, value)
            yield pytest.param(cls, name, new, id=f"{cls.__name__}-{name}")


def told(thing):
    """All attributes of an object as text, but for those who listen to it."""
    return {name: repr(value) for name, value in vars(thing).items() if name != "_followers"}


@pytest.mark.parametrize(("cls", "name", "value"), list(options()))
def test_it_is_as_if_made_with_the_option(cls, name, value):
    thing = made(cls)
    setattr(thing, name, value)
    assert told(thing) == told(cls(**(made(cls).config() | {name: value})))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_what_the_constructor_refuses_is_refused_and_changes_nothing(cls):
    thing = made(cls)
    before = told(thing)
    for name in thing.config():
        found = inspect.getattr_static(cls, name)
        assert name in cls._options or hasattr(found, "__get__"), (cls, name)
        for junk in ({"a": 1}, -3.5, "junk {"):
            try:
                cls(**(thing.config() | {name: junk}))
            except (TypeError, ValueError) as error:
                with pytest.raises(type(error), match=re.escape(str(error))):
                    setattr(thing, name, junk)
        assert told(thing) == before


def test_a_result_has_the_name_of_the_option_it_was_measured_with():
    model = mg.Sequential([mg.Identity()], loss=mg.SoftmaxCrossEntropy())
    x, y = np.eye(4), np.arange(4)[::-1]
    top, error = mg.TopK(1), mg.CalibrationError(5)
    model.evaluate(x, y, metrics=[top, error])
    top.k, error.bins = 3, 40
    found = model.evaluate(x, y, metrics=[top, error])
    expected = model.evaluate(x, y, metrics=[mg.TopK(3), mg.CalibrationError(40)])
    assert found == expected


def test_a_checkpoint_keeps_its_best_value_and_what_it_is_of(tmp_path):
    x, y = np.eye(4), np.ones((4, 1))
    model = mg.Sequential([mg.Dense(4, 1)], loss=mg.MeanSquaredError(), random_state=0)
    keep = mg.ModelCheckpoint(tmp_path / "a.npz", monitor="loss")
    fit = {"optimizer": mg.SGD(0.1), "callbacks": [keep], "validation_data": (x, y), "verbose": 0}
    model.fit(x, y, **fit)
    best = keep.best
    keep.path = tmp_path / "b-{epoch}-{val_loss:.1f}.npz"
    assert keep.best == best
    model.fit(x, y, **fit)
    assert len(list(pathlib.Path(tmp_path).glob("b-*.npz"))) > 0
    keep.monitor = "val_loss"
    with pytest.raises(ValueError, match="is one of loss, but this training monitors val_loss"):
        model.fit(x, y, **fit)


def test_a_constructor_of_ones_own_callback_runs_once():
    """It may open a file, and keep in its arguments' names what changes in a training."""
    made = []

    class Counting(mg.EarlyStopping):
        def __init__(self, seen=0, patience=3):
            super().__init__(patience)
            made.append(self)
            self.seen = seen

        def on_epoch_end(self, epoch, logs):
            super().on_epoch_end(epoch, logs)
            self.seen += 1
            self.patience = 2

    counting = Counting()
    model = mg.Sequential([mg.Dense(4, 1)], loss=mg.MeanSquaredError(), random_state=0)
    x, y = np.eye(4), np.ones((4, 1))
    model.fit(x, y, optimizer=mg.SGD(0.1), epochs=4, callbacks=[counting], verbose=0)
    assert (counting.seen, counting.patience, made) == (4, 2, [counting])
