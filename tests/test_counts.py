"""The cost of a training step in calls and operators, which are counted instead of timed.

Counts are exact and the same on every machine, so one more NumPy call in a step fails here. A
cheaper step fails, too: `python tests/test_counts.py` prints the new table.
"""

import dis
import functools
import gc
import os
import sys
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.training.recorded_step import RecordedStep


class Cost(NamedTuple):
    """The cost of a step of `fit`: gather, forward, loss, backward, optimizer, bookkeeping."""

    c_calls: int  # calls of functions written in C: NumPy's, and a few builtins
    python_calls: int
    operators: int  # such as + - * < [], on numbers or arrays


BUDGET = {
    "xor": Cost(c_calls=38, python_calls=27, operators=22),
    "moons": Cost(c_calls=58, python_calls=31, operators=37),
    "digits": Cost(c_calls=48, python_calls=32, operators=42),
    "mnist": Cost(c_calls=102, python_calls=59, operators=50),
}

REPEATED = {  # where `fit` repeats a step as recorded calls
    "xor": Cost(c_calls=35, python_calls=4, operators=16),
    "moons": Cost(c_calls=53, python_calls=4, operators=28),
    "digits": Cost(c_calls=44, python_calls=5, operators=28),
}

EPOCH = {"xor": 64}  # C calls if an epoch is one step, as in full-batch training

CALLS = {"CALL", "CALL_KW", "CALL_FUNCTION_EX"}
OPERATORS = {
    *("BINARY_OP", "BINARY_SUBSCR", "BINARY_SLICE", "STORE_SUBSCR", "STORE_SLICE"),
    *("COMPARE_OP", "CONTAINS_OP", "UNARY_NEGATIVE", "UNARY_INVERT"),
}
FOLDERS = (os.path.dirname(mg.__file__) + os.sep, __file__)
WARM, FEW, MANY = 12, 4, 8  # batches


def xor():
    x, y = mg.datasets.xor(copies=WARM)
    layers = [mg.Dense(2, 4), mg.Sigmoid(), mg.Dense(4, 1), mg.Sigmoid()]
    return layers, mg.HalfSquaredError(), mg.SGD(0.5), 4, x, y


def moons():
    x, y = mg.datasets.moons(32 * WARM, random_state=0)
    layers = [mg.Dense(2, 32), mg.Tanh(), mg.Dense(32, 32), mg.Tanh(), mg.Dense(32, 1)]
    return layers, mg.SigmoidCrossEntropy(), mg.Adam(1e-3), 32, x, y


def digits():
    x, y = mg.datasets.digits()
    layers = [mg.Dense(64, 64), mg.ReLU(), mg.Dense(64, 10)]
    return layers, mg.SoftmaxCrossEntropy(), mg.Adam(1e-3), 32, x, y


def mnist():
    rng = np.random.default_rng(0)
    x, y = rng.random((128 * WARM, 784), np.float32), rng.integers(0, 10, 128 * WARM)
    layers = [mg.Dense(784, 256), mg.ReLU(), mg.Dense(256, 128), mg.ReLU(), mg.Dense(128, 10)]
    return layers, mg.SoftmaxCrossEntropy(), mg.Adam(1e-3), 128, x, y


NETWORKS = {f.__name__: f for f in (xor, moons, digits, mnist)}


@functools.cache
def instructions(code):
    """The instructions of a code object by offset."""
    return {i.offset: i for i in dis.get_instructions(code)}


class Counting:
    """Counts the calls and operators of mlpgrad's code within `with`, by source line.

    Profilers do not see ufuncs in every version of Python; a trace of the executed instructions
    shows all calls. A call that is not followed by a new Python frame was a call of C.
    """

    def __init__(self):
        self.found = Counter()
        self.calling = None

    def __enter__(self):
        gc.disable()  # finalizers of other objects would be counted
        self.before = sys.gettrace()
        sys.settrace(self.trace)
        return self

    def __exit__(self, *exception):
        sys.settrace(self.before)
        gc.enable()
        self.settle("c_calls")

    def trace(self, frame, event, arg):
        if event == "call":
            self.settle("python_calls")
        if not frame.f_code.co_filename.startswith(FOLDERS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            self.settle("c_calls")
            instruction = instructions(frame.f_code)[frame.f_lasti]
            place = os.path.basename(frame.f_code.co_filename), instruction.positions.lineno
            if instruction.opname in CALLS:
                self.calling = place
            elif instruction.opname in OPERATORS:
                self.found["operators", *place] += 1
        return self.trace

    def settle(self, kind):
        """Count the last call instruction, whose kind is now known."""
        if self.calling:
            self.found[kind, *self.calling] += 1
            self.calling = None


def counted(batches, epochs, model, optimizer, batch_size, x, y):
    """Count all that a number of epochs with a number of batches executes."""
    rows, options = slice(0, batches * batch_size), {"batch_size": batch_size, "verbose": 0}
    with Counting() as counting:
        model.fit(x[rows], y[rows], optimizer=optimizer, epochs=epochs, **options)
    return counting.found


def step_cost(*network):
    """The cost of a step of `fit` by source line: many batches minus few."""
    return difference(network, (FEW, 1), (MANY, 1))


def epoch_cost(*network):
    """The cost of an epoch of a single step: many epochs minus few."""
    return difference(network, (1, FEW), (1, MANY))


def difference(network, few, many):
    """The cost per batch or epoch by which `many = (batches, epochs)` exceeds `few`."""
    layers, loss, *rest = network
    case = mg.Sequential(layers, loss=loss, random_state=0), *rest
    for sizes in ((WARM, 1), few, many):  # the first makes all buffers
        counted(*sizes, *case)
    before, after = counted(*few, *case), counted(*many, *case)
    lines = {place: (after[place] - before[place]) / (MANY - FEW) for place in after}
    lines = {place: n for place, n in lines.items() if n}
    return Cost(*(sum(n for (kind, *_), n in lines.items() if kind == k) for k in Cost._fields)), (
        "\n".join(f"{kind:12} {file}:{line}  {n:g}" for (kind, file, line), n in lines.items())
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_step_costs_exactly_its_budget(name):
    cost, lines = step_cost(*NETWORKS[name]())
    assert cost == BUDGET[name], f"per step:\n{lines}"


@pytest.mark.parametrize("name", REPEATED)
def test_a_repeated_step_costs_exactly_its_budget(name, monkeypatch):
    monkeypatch.setattr(RecordedStep, "serves", lambda *_: True)
    cost, lines = step_cost(*NETWORKS[name]())
    assert cost == REPEATED[name], f"per step:\n{lines}"


@pytest.mark.parametrize("name", EPOCH)
def test_an_epoch_of_one_step_makes_exactly_so_many_calls(name, monkeypatch):
    monkeypatch.setattr(RecordedStep, "serves", lambda *_: True)
    cost, lines = epoch_cost(*NETWORKS[name]())
    assert cost.c_calls == EPOCH[name], f"per epoch:\n{lines}"


class OneCallMore(mg.ReLU):
    """A slower layer."""

    def forward(self, x):
        return np.positive(super().forward(x), self._a)


class OneOperatorMore(mg.ReLU):
    """A layer that is slower without a further call."""

    def backward(self, delta):
        return super().backward(delta) * 1


@pytest.mark.parametrize("slower", [OneCallMore, OneOperatorMore])
def test_one_numpy_call_more_is_noticed(slower):
    layers, *case = digits()
    layers[1] = slower()
    cost, lines = step_cost(layers, *case)
    assert cost != BUDGET["digits"]
    assert "test_counts.py" in lines


if __name__ == "__main__":
    for budget, serves in ((BUDGET, RecordedStep.serves), (REPEATED, lambda *_: True)):
        RecordedStep.serves = serves
        for name in budget:
            cost = Cost(*map(int, step_cost(*NETWORKS[name]())[0]))
            print(f'    "{name}": {cost},')
    print({name: int(epoch_cost(*NETWORKS[name]())[0].c_calls) for name in EPOCH})
