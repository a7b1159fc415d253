"""The variables in the lines that errors advise people to write, and a function that obeys."""

import importlib
import re

import numpy as np
import pytest

import mlpgrad
import mlpgrad as mg
from mlpgrad.tables import TableEncoder

rng = np.random.default_rng(0)
Y = np.arange(12) % 3
X = rng.normal(size=(12, 4)) + 3 * np.eye(4)[Y]


def scene(tmp_path):
    """The variables in the advised lines."""
    model = network(ensemble_size=None)
    planar = mg.Sequential([mg.Dense(2, 1)], loss=mg.SigmoidCrossEntropy(), random_state=0)
    early, optimizer = mg.EarlyStopping(5), mg.SGD(0.1)
    history = model.fit(
        *(X, Y), optimizer=optimizer, epochs=2, validation_split=0.25, callbacks=[early], verbose=0
    )
    model.backpropagate(X, Y)
    path, table = tmp_path / "model.npz", tmp_path / "table.csv"
    model.save(path)
    table.write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    normed = mg.Sequential([mg.BatchNorm(4)], loss=mg.MeanSquaredError(), random_state=0)
    normed.backpropagate(X, X)
    objects = {
        "method": mg.LBFGS(),
        "metric": mg.Accuracy(),
        "penalty": mg.L2(1e-4),
        "schedule": mg.StepDecay(1, 5),
        "initializer": mg.HeNormal(),
        "callback": mg.Callback(),
        "activation": mg.Tanh(),
        "encoder": TableEncoder(),
        "layer": normed.layers[0],
        "layers": [mg.Dense(4, 3)],
        "loss": mg.SoftmaxCrossEntropy(),
        "ensemble": network(ensemble_size=3),
        "regressor": mg.Sequential(
            [mg.Dense(4, 1)], loss=mg.MeanSquaredError(), ensemble_size=3, random_state=0
        ),
    }
    data = {"x": X, "y": Y, "x2": X[:, :2], "y2": Y % 2, "path": path, "table": table}
    data |= {"v": np.ones_like(model.params), "weights": model.get_weights()}
    made = {"model": model, "planar": planar, "history": history}
    made |= {"optimizer": optimizer, "early": early}
    return {"mg": mg, "mlpgrad": mlpgrad, "np": np, **objects, **data, **made, **ARGUMENTS}


ARGUMENTS = {
    **dict.fromkeys(("in_features", "features", "k"), 4),
    **dict.fromkeys(("out_features", "every", "steps"), 3),
    **dict.fromkeys(("learning_rate", "rate", "peak", "strength", "std", "value"), 0.1),
    **dict.fromkeys(("drop_probability", "fraction", "factor"), 0.25),
    "codes": {0: 3},
    "levels": [0.5],
    "samples": 12,
    "labels": Y,
    "train": X,
    "function": np.sin,
    "slope": np.cos,
    "params": np.ones(3),
    "f": lambda p: (p * p).sum(),
    "grad": lambda p: 2 * p,
    "f_or_grad": lambda p: 2 * p,
    "hvp": lambda p, v: 2 * v,
    "vjp": lambda x, v: 2 * v * x,
}
"""Values for the arguments of constructors and functions, by their names."""


def network(**options):
    layers = [mg.Dense(4, 3)]
    return mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy(), random_state=0, **options)


def obey(message, names):
    """Run the code that a message says to write, and return its value."""
    found = re.search(r"; write (.+)", message, re.DOTALL)
    assert found, f"the message says nothing to write: {message}"
    code = found[1].split("  # ")[0]
    if code.startswith("history = "):
        code = code.removeprefix("history = ")
    if "sklearn" in code:
        pytest.importorskip("sklearn")
        for module in ("sklearn.datasets", "sklearn.model_selection", "mlpgrad.sklearn"):
            importlib.import_module(module)
        names |= {"sklearn": importlib.import_module("sklearn")}
    return eval(code, names | suited(code, names))


def suited(code, names):
    """A model, and data for it, of the kind that the code is about."""
    if "mg.AUC" in code or "decision_boundary" in code:
        return {"model": names["planar"], "x": names["x2"], "y": names["y2"]}
    if "std=True" in code or "interval=" in code:
        return {"model": names["regressor"]}
    return {}
