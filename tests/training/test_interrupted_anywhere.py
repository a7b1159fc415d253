"""Ctrl-C at any line that synchronizes threads: the model can be used afterwards."""

import ctypes
import pickle
import signal
import sys
import threading
import weakref
from functools import partial

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.network import fitting

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.implementation.name != "cpython", reason="asks CPython for the signal"),
]

X, Y = mg.datasets.moons(16, random_state=0)


class Presses:
    """A trace function that presses Ctrl-C at one of the lines of a file.

    The signal arrives as in reality: Python looks for it after calls, and at the beginning of
    functions and loops, but not within the trace function, since a destructor in C presses.
    """

    def __init__(self, file, at=None):
        self.file, self.at, self.lines = file, at, 0
        self.press = ctypes.pythonapi.PyErr_SetInterrupt
        self.press.argtypes, self.press.restype = [ctypes.py_object], None

    def __call__(self, frame, event, arg):
        return self.line if frame.f_code.co_filename == self.file else None

    def line(self, frame, event, arg):
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                sys.settrace(None)
                thing = type("Thing", (), {})()
                _kept = weakref.ref(thing, self.press)
                del thing
                return None
        return self.line

    def during(self, call):
        """Call a function, and return whether Ctrl-C has ended it."""
        before = sys.gettrace()
        try:
            sys.settrace(self)
            call()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


def made():
    layers = [mg.Standardize(2), mg.Dense(2, 3), mg.BatchNorm(3), mg.Tanh(), mg.Dense(3, 1)]
    model = mg.Sequential(layers, loss=mg.SigmoidCrossEntropy(), random_state=0)
    model.fit_scaling(X)
    return model


OPTIMIZERS = weakref.WeakKeyDictionary()


def fit(model):
    optimizer = OPTIMIZERS.setdefault(model, mg.SGD(0.1))  # the same one after Ctrl-C
    return model.fit(X, Y, optimizer=optimizer, epochs=1, batch_size=8, verbose=0)


CALLS = {
    "predict": lambda model, _: model.predict(X),
    "evaluate": lambda model, _: model.evaluate(X, Y),
    "save": lambda model, folder: model.save(folder / "model.npz"),
    "pickle": lambda model, _: pickle.dumps(model),
    "copy": lambda model, _: model.copy(),
    "backpropagate": lambda model, _: model.backpropagate(X, Y),
    "input_gradient": lambda model, _: model.input_gradient(X, Y),
    "jacobian": lambda model, _: model.jacobian(X, to="inputs"),
    "per_example_gradients": lambda model, _: model.per_example_gradients(X, Y, training=False),
    "fit_scaling": lambda model, _: model.fit_scaling(X),
    "fit": lambda model, _: fit(model),
}


@pytest.fixture(autouse=True)
def _terminal(monkeypatch):
    """Ctrl-C as in a terminal, and an error in place of waiting for ever."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def waits(seconds):
        raise AssertionError("a fit waits for a reader that does not exist")

    monkeypatch.setattr(fitting.time, "sleep", waits)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        *((name, "network.fitting") for name in CALLS),
        ("predict", "network.network"),
        ("input_gradient", "network.network"),
        ("jacobian", "derivatives.modes"),
        ("per_example_gradients", "derivatives.modes"),
    ],
)
def test_a_model_can_be_used_after_ctrl_c_at_any_line(name, file, tmp_path):
    path, call = sys.modules[f"mlpgrad.{file}"].__file__, CALLS[name]
    all_lines = Presses(path)
    all_lines.during(partial(call, made(), tmp_path))
    interrupted = 0
    for at in range(1, all_lines.lines + 1):
        model = made()
        interrupted += Presses(path, at).during(partial(call, model, tmp_path))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert not model.layers[0].wants_input_delta
        assert all(layer.training for layer in model.layers)
        assert_usable(model)
        fitting._running.clear()
    assert interrupted


def assert_usable(model):
    found = []
    reader = threading.Thread(target=lambda: found.append(model.predict(X)), daemon=True)
    reader.start()
    reader.join(30)
    np.testing.assert_array_equal(found[0], model.predict(X))
    assert fit(model).epochs == 1
    model.backpropagate(X, Y)
