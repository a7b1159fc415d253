"""Call everything public with arguments that people give by mistake, and count how calls end.

    python -m benchmarks.fuzz --calls 100000 --seed 0

A call may return, or raise an error that a line of the library raises. An error that NumPy or
Python raises inside the library is a defect, and so is a RuntimeWarning before an error. Public
calls are discovered: everything in `mlpgrad.__all__`, the data sets, the pictures, and the methods
and properties of what these return.
"""

from __future__ import annotations

import argparse
import contextlib
import dis
import inspect
import io
import os
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

import mlpgrad as mg
from benchmarks.fuzz_values import GOOD, base_options, mistaken, usual
from mlpgrad.range_test import learning_rate_range_test

RESULTS = Path(__file__).parent / "results" / "fuzz.md"
SOURCE = os.path.dirname(mg.__file__)
RAISE = {dis.opmap["RAISE_VARARGS"], dis.opmap["RERAISE"]}
SIGNATURE = r"missing \d+ required|positional argument|unexpected keyword|multiple values for"
"""Python's own messages for too few or too many arguments; these are clear enough."""
DOCUMENTED = (
    mg.DivergenceError,
    OSError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
)
"""Errors that the library raises in addition to TypeError and ValueError."""

HOOKS = {
    *("forward", "backward", "apply", "slope", "losses", "slopes", "values", "finish", "start"),
    *("update", "scalars", "make_state", "begin_step", "prepare", "share", "bind"),
    *("allocate", "resize", "empty", "scratch", "flags", "kink_signature", "check_target", "cast"),
    *("converts_to", "numbers", "probabilities", "classes", "true_classes", "target_features"),
    *("value", "train", "logs", "monitored", "restore", "snapshot", "checked", "stream", "seed"),
    *("cast_target", "checked_inputs", "checked_targets", "converts_target_to", "in_own_unit"),
    "in_first_unit",
}
"""Methods that user-defined classes implement, and parts of `Network`. Those of the classes are
called with mistaken arguments by `tests/test_contract_calls.py`."""


RECEIVERS = {"self", "model", "network"}
"""Names of the first parameter of a method, even if it is defined as a function."""

PASSES_ON = {"learning_rate_range_test": learning_rate_range_test}
"""Methods that take the options of a function."""


class Outcome(Counter):
    """The number of calls for each kind of end, with an example of each defect."""

    def __init__(self):
        super().__init__()
        self.defects = {}

    def add(self, kind, place, shown, message=""):
        """Count a call."""
        self[kind] += 1
        if kind.startswith("defect"):
            times, example = self.defects.get((kind, place), (0, f"{shown}: {message}"))
            self.defects[kind, place] = times + 1, example


def judge(error, caught):
    """The kind of end that an error is, and the place in the library that raised it."""
    frames = list(traceback.walk_tb(error.__traceback__))
    inside = [f for f, _ in frames if f.f_code.co_filename.startswith(SOURCE)]
    place = "the call itself"
    if inside:
        code = inside[-1].f_code
        place = f"{os.path.relpath(code.co_filename, SOURCE)}:{code.co_name}"
    last, at = frames[-1][0].f_code, error.__traceback__
    while at.tb_next is not None:
        at = at.tb_next
    ours = last.co_filename.startswith(SOURCE) and last.co_code[at.tb_lasti] in RAISE
    known = isinstance(error, (TypeError, ValueError, *DOCUMENTED))
    if ours and known:
        early = [w for w in caught if issubclass(w.category, RuntimeWarning)]
        return ("defect: a warning before the error", place) if early else ("own error", place)
    if isinstance(error, TypeError) and re.search(SIGNATURE, str(error)):
        return "signature", place
    if isinstance(error, OSError):
        return "file system", place
    if last.co_filename.startswith(os.path.dirname(__file__)):
        return "the caller's own error", place
    return "defect: raw error", place


def call(outcome, shown, function, /, *arguments, **options):
    """Make a call, count how it ends, and return its value or None."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value = function(*arguments, **options)
        except Exception as error:
            kind, place = judge(error, caught)
            early = [str(w.message) for w in caught if "warning" in kind]
            message = " ".join([*early, f"{type(error).__name__}: {str(error)[:150]}"])
            outcome.add(kind, place, shown(), message)
            return None
    outcome.add("returned", "", "")
    return value


def parameters_of(function):
    """The names of the parameters that can be given by name, and of those without a default."""
    found = inspect.signature(function).parameters.values()
    named = [p for p in found if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return [p.name for p in named], [p.name for p in named if p.default is p.empty]


def constructor_parameters(cls):
    """All options of a class, including those that it passes on to its base class."""
    names, required = [], []
    for base in cls.__mro__:
        if base is object or "__init__" not in vars(base):
            continue
        own, needed = parameters_of(base.__init__)
        names += [name for name in own if name not in (*names, "self")]
        required += [name for name in needed if name not in (*required, "self")]
        kinds = [p.kind for p in inspect.signature(base.__init__).parameters.values()]
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            break
    return names, required


def with_mistakes(draw, options, names, usual_of):
    """Options, with one or two replaced by mistakes."""
    options = dict(options)
    for _ in range(draw.choice((1, 1, 2))):
        if names:
            name = draw.choice(names)
            options[name] = mistaken(draw, name, options.get(name), usual_of)
    return options


CLASSES = [
    cls
    for name in mg.__all__
    if isinstance(cls := getattr(mg, name), type)
    and not issubclass(cls, (Exception, mg.History, mg.Explanation, mg.GradientReport))
]
FUNCTIONS = {
    **{f"mg.{n}": f for n in mg.__all__ if inspect.isfunction(f := getattr(mg, n))},
    **{f"mg.datasets.{n}": getattr(mg.datasets, n) for n in mg.datasets.__all__ if n != "Table"},
    **{
        f"mg.plotting.{n}": f
        for n in mg.plotting.__all__
        if inspect.isfunction(f := getattr(mg.plotting, n))
    },
}


def construct(draw, outcome):
    """Construct a class with mistaken options, and use the object if that succeeds."""
    cls = draw.choice(CLASSES)
    names, _ = constructor_parameters(cls)
    options = with_mistakes(draw, base_options(draw, cls), names, usual(draw))
    made = call(outcome, lambda: f"{cls.__name__}({describe(options)})", cls, **options)
    if made is not None:
        shown = f"{cls.__name__}({describe(options)}) in use"
        call(outcome, lambda: shown, repr, made)
        call(outcome, lambda: shown, use, draw, made)


def use(draw, made):
    """Train with a constructed object: what a constructor accepts must work."""
    scene = usual(draw)
    options = {"optimizer": mg.SGD(0.01), "epochs": 2, "batch_size": 4, "verbose": 0}
    loss, layers, x, y = mg.HalfSquaredError(), [mg.Dense(4, 3)], scene["x"], scene["x"][:, :3]
    if isinstance(made, mg.Layer):
        width = made.in_features or 4
        if width > 100:
            return
        layers, x = [made], np.zeros((12, width)) + 0.5
        y = np.zeros((12, made.out_features or width))
    elif isinstance(made, mg.Loss):
        loss, y = made, scene["targets"](made)
        layers = [mg.Dense(4, 4)] if isinstance(made, mg.GaussianNLL) else layers
        last = {mg.CrossEntropy: mg.Softmax, mg.BinaryCrossEntropy: mg.Sigmoid}.get(type(made))
        layers += [last()] if last else []
    elif isinstance(made, mg.Initializer):
        layers = [mg.Dense(4, 3, initializer=made)]
    elif isinstance(made, mg.Metric):
        loss, y, options["metrics"] = mg.SoftmaxCrossEntropy(), scene["y"], [made]
    elif isinstance(made, mg.Schedule):
        options["optimizer"] = mg.SGD(made)
    elif isinstance(made, (mg.Optimizer, mg.Method)):
        options["optimizer"] = made
    elif isinstance(made, mg.Callback):
        options["callbacks"] = [made]
    if isinstance(made, mg.Sequential):
        made.fit(scene["x"], scene["y"], **options)
        return
    penalties = [made] if isinstance(made, mg.Penalty) else []
    mg.Sequential(layers, loss=loss, penalties=penalties, random_state=0).fit(x, y, **options)


def run_function(draw, outcome):
    """Call a public function with mistaken arguments."""
    name, function = draw.choice(sorted(FUNCTIONS.items()))
    names, required = parameters_of(function)
    scene = usual(draw, name)
    options = {n: GOOD[n](scene) for n in required}
    positional = [scene["x"]] if name.endswith("standardize") else []
    options = with_mistakes(draw, options, names, scene)
    if name.endswith("standardize"):
        positional, options = [mistaken(draw, "train", scene["x"], scene)], {}
    shown = f"{name}({describe(options)})"
    made = call(outcome, lambda: shown, function, *positional, **options)
    if isinstance(made, mg.Explanation):
        method(draw, outcome, made, "Explanation")


def run_method(draw, outcome):
    """Use a method or property of an object that the library has made."""
    scene = usual(draw)
    subject = draw.choice(
        (
            *["model"] * 6,
            *("ensemble", "history", "optimizer", "schedule", "explanation"),
        )
    )
    method(draw, outcome, scene[subject](), subject)


def members_of(subject):
    """The public methods and the assignable properties of an object."""
    cls = type(subject)
    names = [n for n in dir(cls) if not n.startswith("_") and n not in HOOKS and n != "example"]
    methods = [n for n in names if inspect.isfunction(getattr(cls, n))]
    settable = [
        n for n in names if isinstance(p := getattr(cls, n), property) and p.fset is not None
    ]
    if isinstance(subject, mg.Schedule):
        methods.append("__call__")
    return methods, settable


def method(draw, outcome, subject, label):
    """Call a method of an object, or assign to one of its properties."""
    methods, settable = members_of(subject)
    scene = usual(draw)
    name = draw.choice(sorted(methods + settable))
    if name in settable:
        value = mistaken(draw, name, getattr(subject, name), scene)
        shown = f"{label}.{name} = {describe({name: value})}"
        call(outcome, lambda: shown, setattr, subject, name, value)
        return
    function = getattr(subject, name)
    names, required = parameters_of(PASSES_ON.get(name) or inspect.unwrap(function))
    names = [n for n in names if n not in RECEIVERS]
    options = {n: GOOD[n](scene) for n in required if n in names}
    if name == "fit":
        options |= {"epochs": 2, "verbose": 0}
    options = with_mistakes(draw, options, names, scene)
    if name == "fit" and not isinstance(options["epochs"], str):
        with contextlib.suppress(Exception):
            options["epochs"] = 3 if options["epochs"] > 3 else options["epochs"]
    shown = f"{label}.{name}({describe(options)})"
    call(outcome, lambda: shown, function, **options)


def describe(options):
    """The options as they would be written."""
    from mlpgrad._core.arguments import shown

    return ", ".join(f"{name}={shown(value)}" for name, value in options.items())


def one_call(draw, outcome):
    """Make a random call, and those that follow from it; `draw` chooses."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        draw.choice((construct, run_function, run_method, run_method))(draw, outcome)
    if "matplotlib.pyplot" in sys.modules:  # it warns about many open figures
        sys.modules["matplotlib.pyplot"].close("all")


def main():
    """Make the calls, and write a table of how they ended."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    options = parser.parse_args()
    import matplotlib

    matplotlib.use("agg")
    draw, outcome, started = random.Random(options.seed), Outcome(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        while outcome.total() < options.calls and time.perf_counter() - started < options.seconds:
            one_call(draw, outcome)
    lines = [f"{outcome.total():,} calls, seed {options.seed}: `python -m benchmarks.fuzz`", ""]
    lines += ["| end of the call | calls |", "|---|---|"]
    lines += [f"| {kind} | {count:,} |" for kind, count in sorted(outcome.items())]
    for (kind, place), (times, example) in sorted(outcome.defects.items()):
        lines += ["", f"- {kind}, {times} times, {place}: `{example}`"]
    report = "\n".join(["# Public calls with mistaken arguments", "", *lines]) + "\n"
    RESULTS.write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
