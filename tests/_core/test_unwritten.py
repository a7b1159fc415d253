"""A class that lacks a method of its base class is told which, wherever the method is called."""

import inspect

import numpy as np
import pytest

import mlpgrad as mg

X, Y = np.random.default_rng(0).normal(size=(6, 3)), np.arange(6) % 3


def fit(*layers, loss=None, penalties=(), optimizer=None, **options):
    layers = [mg.Dense(3, 3), *layers]
    model = mg.Sequential(layers, loss=loss or mg.SoftmaxCrossEntropy(), penalties=penalties)
    options = {"optimizer": optimizer or mg.SGD(0.1), "epochs": 1, "verbose": 0} | options
    return model.fit(X, X if loss else Y, **options)


def check_loss(loss):
    return mg.check_loss(loss, X, X)


NEEDED = {
    mg.Activation: (("apply", "slope"), (), (fit, mg.check_layer)),
    mg.Layer: (("forward", "backward"), (), (fit, mg.check_layer)),
    mg.Loss: (("losses", "slopes"), (), (lambda loss: fit(loss=loss), check_loss)),
    mg.Penalty: (("value", "slope"), (0.1,), (lambda penalty: fit(penalties=[penalty]),)),
    mg.Optimizer: (("update",), (0.1,), (lambda optimizer: fit(optimizer=optimizer),)),
    mg.Schedule: (("__call__",), (), (lambda rate: fit(optimizer=mg.SGD(rate)),)),
    mg.Metric: (("values",), (), (lambda metric: fit(metrics=[metric]),)),
    mg.Initializer: (("__call__",), (), (lambda drawn: fit(mg.Dense(3, 3, initializer=drawn)),)),
    mg.Method: (("train",), (), (lambda method: fit(optimizer=method),)),
}


def complete(base):
    """The methods that a subclass of `base` needs, which do something that can be computed."""
    return {
        "apply": lambda self, z, out: np.copyto(out, z),
        "slope": lambda self, *arrays: arrays[-1].fill(1),
        "forward": lambda self, x: x,
        "backward": lambda self, delta: delta,
        "losses": lambda self, prediction, target: prediction.sum(axis=-1),
        "slopes": lambda self, prediction, target, out: out.fill(1),
        "value": lambda self, params: params.sum(axis=-1),
    }


CASES = [(base, name) for base, (names, *_) in NEEDED.items() for name in names]


@pytest.mark.parametrize(
    ("base", "lacking"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_a_class_that_lacks_a_method_is_told_which(base, lacking):
    names, arguments, uses = NEEDED[base]
    written = complete(base)
    body = {"name": "mine", "larger_is_better": True} if base is mg.Metric else {}
    cls = type("Mine", (base,), body | {name: written[name] for name in names if name != lacking})
    for use in uses:
        with pytest.raises(
            NotImplementedError, match=rf"Mine expects a method {lacking}\(self"
        ) as told:
            use(cls(*arguments))
        assert f"help(mg.{base.__name__}) has an example" in str(told.value)
    assert "Examples" in inspect.getdoc(base)


def test_every_base_class_is_here():
    bases = {
        cls
        for cls in map(mg.__dict__.get, mg.__all__)
        if inspect.isclass(cls)
        for name, method in vars(cls).items()
        if inspect.isfunction(method) and "unwritten" in method.__code__.co_names
    }
    assert bases <= {*NEEDED}


@pytest.mark.parametrize("place", [0, 1])
def test_functions_of_single_numbers_are_no_activations(place):
    import math

    functions = [np.sin, np.cos]
    functions[place] = math.sin
    with pytest.raises(TypeError, match=r"Elementwise: .* a function of arrays .* got math\.sin"):
        mg.Elementwise(*functions)
