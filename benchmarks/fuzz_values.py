"""Arguments for the fuzz: usual values by the name of the parameter, and mistaken ones."""

from __future__ import annotations

import contextlib
import decimal
import fractions
import pathlib

import numpy as np

import mlpgrad as mg


class Unshowable:
    """An object whose `repr` fails."""

    def __repr__(self):
        raise RuntimeError("this object cannot be shown")


WEIRD = {
    "nothing": lambda: None,
    "true": lambda: True,
    "false": lambda: False,
    "minus one": lambda: -1,
    "zero": lambda: 0,
    "one": lambda: 1,
    "two": lambda: 2,
    "a half": lambda: 0.5,
    "a fraction above one": lambda: 3.5,
    "NaN": lambda: float("nan"),
    "infinity": lambda: float("inf"),
    "minus infinity": lambda: -float("inf"),
    "the largest": lambda: 1e308,
    "the smallest": lambda: 1e-320,
    "a huge integer": lambda: 10**30,
    "a large integer": lambda: 10**13,
    "a huge negative integer": lambda: -(10**30),
    "an integer no float holds": lambda: 10**400,
    "text": lambda: "abc",
    "no text": lambda: "",
    "a number as text": lambda: "0.1",
    "a habit": lambda: "adam",
    "bytes": lambda: b"x",
    "a list": list,
    "a dict": dict,
    "a tuple": tuple,
    "an object": object,
    "an object that cannot be shown": Unshowable,
    "a function": lambda: lambda *arguments: 1.0,
    "a small float type": lambda: np.float16(0.1),
    "a small integer type": lambda: np.uint8(200),
    "a NumPy integer": lambda: np.int64(3),
    "a NumPy bool": lambda: np.bool_(True),
    "a complex number": lambda: 1 + 2j,
    "a decimal": lambda: decimal.Decimal("0.1"),
    "a rational": lambda: fractions.Fraction(1, 3),
    "NumPy text": lambda: np.str_("q"),
    "an array without axes": lambda: np.array(2.0),
    "an empty array": lambda: np.array([]),
    "an array with NaN": lambda: np.array([1.0, np.nan]),
    "an array of text": lambda: np.array(["a", "b"]),
    "an array of objects": lambda: np.array([object(), 1], object),
    "a ragged list": lambda: [[1, 2], [3]],
    "a range": lambda: range(3),
    "an ellipsis": lambda: Ellipsis,
    "a type": lambda: int,
    "a dict of things": lambda: {"a": 1, 2: None},
    "a date": lambda: np.datetime64("2020-01-01"),
    "three axes": lambda: np.zeros((2, 2, 2)),
    "a masked array": lambda: np.ma.masked_array([1.0, 2.0], [0, 1]),
    "an iterator": lambda: iter([1, 2]),
    "a class": lambda: mg.Tanh,
    "a layer": mg.Tanh,
    "an optimizer": lambda: mg.SGD(0.1),
    "a folder": lambda: pathlib.Path("."),
    "a missing file": lambda: "missing/file",
    "a null in text": lambda: "a\0b",
    "a module": lambda: mg,
    "a model": lambda: mg.Sequential([mg.Dense(4, 3)], loss=mg.SoftmaxCrossEntropy()),
}
"""Values that people give by mistake; each call makes a new one."""

DTYPES = [
    "e",
    "f",
    "d",
    "g",
    "F",
    "D",
    "b",
    "q",
    "Q",
    "?",
    "O",
    "U3",
    "S2",
    "M8[s]",
    "m8[s]",
    ">f4",
]
SHAPES = [(), (0,), (3,), (12,), (12, 1), (12, 3), (12, 4), (5, 4), (12, 4, 1), (2, 12, 4), (0, 4)]
SCALES = [1.0, 1.0, 1.0, 1e38, 1e-40, 1e308, 1e-320]


def array(draw, near=None):
    """An array whose shape, values or type may be wrong."""
    shape = draw.choice(SHAPES)
    if isinstance(near, np.ndarray) and draw.random() < 0.6:
        shape = near.shape
    values = np.random.default_rng(draw.randrange(1000)).normal(size=shape)
    with np.errstate(all="ignore"):
        values = np.asarray(values * draw.choice(SCALES))
        if values.size and draw.random() < 0.2:
            values.reshape(-1)[draw.randrange(values.size)] = draw.choice((np.nan, np.inf, -np.inf))
        code = draw.choice(DTYPES) if draw.random() < 0.5 else "d"
        with contextlib.suppress(TypeError, ValueError, OverflowError):
            values = values.astype(code)
    forms = (*[np.asarray] * 4, np.asfortranarray, np.ma.masked_array, as_frame, as_sparse, to_list)
    return draw.choice(forms)(values)


def to_list(values):
    """The values as nested lists."""
    return values.tolist()


def as_frame(values):
    """A DataFrame, if there are two axes and pandas is installed."""
    try:
        import pandas
    except ModuleNotFoundError:
        return values
    return pandas.DataFrame(values) if values.ndim == 2 and values.dtype != ">f4" else values


def as_sparse(values):
    """A sparse matrix, if SciPy can make one."""
    from scipy.sparse import csr_array

    return csr_array(values) if values.ndim == 2 and values.dtype.str in ("<f4", "<f8") else values


ARRAYS = ("x", "y", "sample_weight", "params", "grads", "state", "target", "labels", "directions")


def mistaken(draw, name, usual_value, scene):
    """A value that a parameter should not have: of another type, out of range, or misshapen."""
    if name in ARRAYS or isinstance(usual_value, np.ndarray):
        if draw.random() < 0.7:
            return array(draw, usual_value)
    elif draw.random() < 0.1:
        return array(draw)
    if name in SPECIAL and draw.random() < 0.4:
        return draw.choice(SPECIAL[name])()
    return WEIRD[draw.choice(sorted(WEIRD))]()


SPECIAL = {
    "layers": [
        lambda: [mg.Dense],
        lambda: mg.Dense(4, 3),
        lambda: [mg.Dense(4, 3), None],
        lambda: (mg.Dense(4, 2), mg.Dense(3, 3)),
        lambda: [mg.ReLU(), mg.Softmax()],
        lambda: iter([mg.Dense(4, 3)]),
        lambda: {"a": mg.Dense(4, 3)},
        lambda: [mg.Dense(np.int64(4), np.uint8(3))],
        lambda: [mg.Dense(4, 10**13)],
        lambda: ["dense", "relu"],
        lambda: [[mg.Dense(4, 3)]],
    ],
    "dtype": [lambda c=c: c for c in ("float16", "g", "F", "i4", "M8", ">f8", "U3", "bfloat16")],
    "metrics": [
        lambda: ["accuracy"],
        lambda: [mg.Accuracy],
        mg.Accuracy,
        lambda: [mg.RootMeanSquared(), mg.MeanAbsolute()],
        lambda: [mg.Accuracy(), mg.Accuracy()],
    ],
    "callbacks": [
        lambda: mg.EarlyStopping(1),
        lambda: [mg.EarlyStopping],
        lambda: [None],
        lambda: [mg.EarlyStopping(monitor="nope")],
        lambda: (mg.ProgressBar(), mg.EarlyStopping(0)),
    ],
    "class_weight": [
        lambda: "balanced",
        lambda: [1, 2, 3],
        lambda: {0: 1.0, 1: 2.0, 2: 3.0},
        lambda: {0: "a", 1: 1, 2: 1},
        lambda: {0: -1.0, 1: 1.0, 2: 1.0},
        lambda: {0: np.nan, 1: 1.0, 2: 1.0},
    ],
    "validation_data": [
        lambda: (np.ones((5, 4)), np.zeros(5, int)),
        lambda: (np.ones((5, 3)), np.zeros(5, int)),
        lambda: (np.ones((5, 4)),),
        lambda: (None, None),
    ],
    "penalties": [lambda: mg.L2(0.1), lambda: [mg.L1(0.1), "l2"], lambda: [mg.L2]],
    "kinds": [lambda: "weights", lambda: ("weights", "bias"), lambda: ("nothing",)],
    "decay_kinds": [lambda: "weights", lambda: ["weights"], lambda: {"bias"}],
    "encoding": [lambda: "latin-1", lambda: "utf-99", lambda: "base64"],
    "delimiter": [lambda: ";", lambda: ";;", lambda: "\n", lambda: '"'],
    "monitor": [lambda: "loss", lambda: "nope"],
    "mode": [lambda: "min", lambda: "maximum"],
    "names": [lambda: "loss", lambda: ["loss", "nope"]],
    "weights": [lambda: {"layers[0].weights": np.ones((4, 3)), "layers[0].bias": "x"}],
}
"""Mistakes that only make sense for a parameter of this name."""


def models(member_count=None):
    """A network with four inputs and three classes."""
    return mg.Sequential(
        [mg.Dense(4, 5), mg.Tanh(), mg.Dense(5, 3)],
        loss=mg.SoftmaxCrossEntropy(),
        random_state=0,
        ensemble_size=member_count,
    )


def targets(loss):
    """Twelve targets that a loss on three outputs takes."""
    if isinstance(loss, (mg.SoftmaxCrossEntropy, mg.CrossEntropy)):
        return np.arange(12) % 3
    if loss.classifies:
        return np.arange(36).reshape(12, 3) % 2
    width = 2 if isinstance(loss, mg.GaussianNLL) else 3
    return np.abs(np.sin(np.arange(12.0 * width))).reshape(12, width)


def usual(draw, call=""):
    """Values for one call by name; each is made on first use."""
    x, y = np.sin(np.arange(48.0)).reshape(12, 4), np.arange(12) % 3
    size = 3 if call.endswith("ensemble_spread") else None

    def trained():
        return models().fit(x, y, optimizer=mg.SGD(0.1), epochs=2, verbose=0)

    def recorder():
        made = mg.LayerSignals()
        models().fit(x, y, optimizer=mg.SGD(0.1), epochs=2, verbose=0, callbacks=[made])
        return made

    def table():
        path = pathlib.Path("table.csv")
        path.write_text("a,b,c\n1,2,3\n4,5,6\n", encoding="utf-8")
        return path

    scene = {
        "x": x,
        "y": y,
        "targets": targets,
        "model": lambda: models(size),
        "ensemble": lambda: models(2),
        "history": trained,
        "optimizer": lambda: mg.Adam(0.01),
        "schedule": lambda: draw.choice(SCHEDULES)(),
        "recorder": recorder,
        "explanation": lambda: mg.explain(models(), x[:2], y[:2]),
        "table": table,
    }
    if call.endswith(("regression_curve", "regression_surface", "decision_boundary")):
        inputs = 1 if call.endswith("curve") else 2
        outputs, loss = (3, mg.SoftmaxCrossEntropy) if "boundary" in call else (1, mg.Huber)
        scene["x"], scene["y"] = x[:, :inputs], y if outputs == 3 else x[:, 3]
        scene["model"] = lambda: mg.Sequential(
            [mg.Dense(inputs, outputs)], loss=loss(), random_state=0
        )
    if call.endswith("explain"):
        scene["x"], scene["y"] = x[:2], y[:2]
    return scene


SCHEDULES = [
    lambda: mg.ConstantSchedule(0.1),
    lambda: mg.CosineDecay(0.1, 10),
    lambda: mg.CosineDecay(0.1),
    lambda: mg.ExponentialDecay(0.1, 2.0),
    lambda: mg.OneCycle(0.1, 10),
    lambda: mg.StepDecay(0.1, 3),
    lambda: mg.WarmUp(mg.StepDecay(0.1, 3), 3),
]

GOOD = {
    "x": lambda scene: scene["x"],
    "y": lambda scene: scene["y"],
    "model": lambda scene: scene["model"](),
    "optimizer": lambda scene: mg.SGD(0.01),
    "history": lambda scene: scene["history"](),
    "recorder": lambda scene: scene["recorder"](),
    "report": lambda scene: mg.check_gradients(models(), scene["x"], scene["y"]),
    "path": lambda scene: scene["table"](),
    "samples": lambda scene: 12,
    "fraction": lambda scene: 0.25,
    "train": lambda scene: scene["x"],
    "weights": lambda scene: models().get_weights(),
    "index": lambda scene: 0,
    "indices": lambda scene: [0],
    "known": lambda scene: {},
    "count": lambda scene: 2,
    "params": lambda scene: np.ones(7),
    "grads": lambda scene: np.ones(7),
    "steps": lambda scene: 3,
    "f": lambda scene: lambda p: float(np.square(p).sum()),
    "grad": lambda scene: lambda p: 2 * np.asarray(p),
    "vjp": lambda scene: lambda x, v: 2 * x * v,
    "f_or_grad": lambda scene: lambda x: 2 * x,
    "hvp": lambda scene: lambda x, v: 2 * v,
    "layer": lambda scene: mg.Tanh(),
    "loss": lambda scene: mg.Huber(),
    "v": lambda scene: scene["model"]().params,
    "total": lambda scene: 30,
    "test": lambda scene: models().learning_rate_range_test(
        scene["x"], scene["y"], optimizer=mg.SGD(0.1), steps=5
    ),
    "symbol": lambda scene: "delta",
    "name": lambda scene: "loss",
    "logs": lambda scene: {"loss": 1.0},
    "networks": lambda scene: slice(0, 1),
    "dtype": lambda scene: np.float64,
    "sample_weight": lambda scene: np.ones(12),
    "target": lambda scene: scene["y"],
}
"""A usual value for each parameter that a call needs, by its name."""


def base_options(draw, cls):
    """Options with which a class can be constructed."""
    table = {
        mg.Dense: {"in_features": 4, "out_features": 3},
        mg.BatchNorm: {"features": 4},
        mg.LayerNorm: {"features": 4},
        mg.Residual: {"layers": [mg.Tanh()]},
        mg.Elementwise: {"function": np.sin, "slope": np.cos},
        mg.Sequential: {"layers": [mg.Dense(4, 3)], "loss": mg.SoftmaxCrossEntropy()},
        mg.ModelCheckpoint: {"path": "model-{epoch}.npz"},
        mg.Constant: {"value": 0.1},
        mg.TopK: {"k": 1},
    }
    if cls in table:
        return table[cls]
    if issubclass(cls, mg.Optimizer):
        return {"learning_rate": 0.01}
    if issubclass(cls, mg.Penalty):
        return {"strength": 0.01}
    if issubclass(cls, mg.Schedule) and cls is not mg.Schedule:
        return cls.example().config()
    return {}
