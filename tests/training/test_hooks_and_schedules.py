"""Functions of users whose arguments do not fit the calls: hooks of callbacks, and schedules."""

import functools
import math

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.callbacks import HOOKS

X, Y = mg.datasets.moons(20, noise=0.1, random_state=0)


def fit(optimizer=None, **options):
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    return model.fit(X, Y, optimizer=optimizer or mg.SGD(0.1), epochs=2, verbose=0, **options)


def with_hook(hook, function):
    return type("Own", (mg.Callback,), {hook: function})()


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", ["too few", "too many", "on the object"])
def test_a_hook_that_cannot_be_called_is_refused_with_the_line_to_write(hook, kind):
    callback = {
        "too few": with_hook(hook, lambda: None),
        "too many": with_hook(hook, lambda self, one, two, three: None),
        "on the object": mg.EarlyStopping(2),
    }[kind]
    if kind == "on the object":
        setattr(callback, hook, lambda one, two, three: None)
    with pytest.raises(TypeError, match=rf"\.{hook} expects a function of \(.*; write def") as told:
        fit(callbacks=[callback])
    space = {}
    exec(f"{str(told.value).split('; write ')[1]}: seen.append(1)", space)
    space["seen"] = []
    fit(callbacks=[with_hook(hook, space[hook])])
    assert space["seen"]


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_are_written_with_further_arguments_or_any(hook):
    calls = []
    fit(callbacks=[with_hook(hook, lambda self, *given, **more: calls.append(given))])
    assert {len(given) for given in calls} == {len(HOOKS[hook])}
    if HOOKS[hook]:
        both = with_hook(hook, lambda self, first, logs=None, *, more=1: calls.append(first))
        fit(callbacks=[both])


def test_a_hook_records_values_of_its_own():
    class Own(mg.Callback):
        def on_epoch_end(self, epoch, logs):
            self.history.setdefault("own", []).append(2.0 * epoch)

    history = fit(callbacks=[Own()])
    assert history["own"] == [0.0, 2.0]
    assert "own 0 -> 2" in repr(history)


class Called:
    def __call__(self, steps):
        return 0.1


FUNCTIONS = {
    "lambda": lambda steps: 0.1,
    "default": lambda steps, floor=0.1: floor,
    "partial": functools.partial(lambda rate, steps: rate, 0.1),
    "object": Called(),
    "any": lambda *given: 0.1,
    "of C": math.exp,
    "ufunc": np.exp,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_the_steps_are_schedules(name):
    for rate in (FUNCTIONS[name], mg.WarmUp(FUNCTIONS[name], 3)):
        assert len(fit(mg.SGD(rate))["loss"]) == 2


@pytest.mark.parametrize("function", [lambda: 0.1, lambda epoch, rate: 0.1], ids=["none", "two"])
def test_functions_of_other_arguments_are_no_schedules(function):
    for make in (mg.SGD, mg.Adam, lambda rate: mg.WarmUp(rate, 3)):
        with pytest.raises(TypeError, match=r"rate expects a function of \(steps\), got one of"):
            make(function)
    optimizer = mg.Adam(0.1)
    with pytest.raises(TypeError, match=r"learning_rate expects a function of \(steps\)"):
        optimizer.learning_rate = function
