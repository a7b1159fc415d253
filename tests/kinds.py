"""The eight kinds of classes that users can extend, with models around their examples."""

import importlib
import pkgutil

import numpy as np
import pytest

import mlpgrad as mg

KINDS = {
    "activation": mg.Activation,
    "loss": mg.Loss,
    "layer": mg.Layer,
    "optimizer": mg.Optimizer,
    "schedule": mg.Schedule,
    "penalty": mg.Penalty,
    "metric": mg.Metric,
    "callback": mg.Callback,
}
ENSEMBLE = 3
FEATURES, BATCH = 5, 6


def import_everything():
    """Import each module of the package, except those of extras that are not installed."""
    for module in pkgutil.walk_packages(mg.__path__, "mlpgrad."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("mlpgrad"):
                raise


def subclasses(base):
    """All public subclasses of `base` that the package defines, in a fixed order."""
    found, waiting = set(), [base]
    while waiting:
        for cls in waiting.pop().__subclasses__():
            waiting.append(cls)
            if cls.__module__.startswith("mlpgrad.") and not cls.__name__.startswith("_"):
                found.add(cls)
    return sorted(found - set(KINDS.values()), key=lambda cls: cls.__name__)


def every(classes):
    """Run a test for each of these classes."""
    return pytest.mark.parametrize("cls", classes, ids=lambda cls: cls.__name__)


def example(cls):
    """An instance for tests, without the data that a loss's example has."""
    try:
        made = cls.example()
    except TypeError as error:
        pytest.fail(
            f"{cls.__name__}.example() raises {error!r}: write this classmethod, which returns an "
            f"instance with options worth a test"
        )
    return made[0] if isinstance(made, tuple) else made


def compare_with_golden(classes, golden, lacking, script):
    """Fail for a class that is neither in the golden file nor listed as lacking a counterpart.

    Parameters
    ----------
    classes : list of class
    golden : iterable of str
        Names of the classes with golden values.
    lacking : dict
        Classes without a counterpart in the other library, by name, with the reason.
    script : str
        The script that writes the golden file.
    """
    names, golden = {cls.__name__ for cls in classes}, set(golden)
    missing = names - golden - lacking.keys()
    assert not missing, (
        f"no golden values for {sorted(missing)}: add them to {script} and run it, or, where the "
        f"other library has nothing to compare with, add them to LACKING with the reason"
    )
    assert golden <= names, f"{script} writes values of unknown classes: {sorted(golden - names)}"
    assert lacking.keys() <= names, f"LACKING has unknown classes: {lacking.keys() - names}"
    assert not lacking.keys() & golden, f"not lacking, but golden: {lacking.keys() & golden}"


import_everything()
LAYERS = subclasses(mg.Layer)
LOSSES = subclasses(mg.Loss)
OPTIMIZERS = subclasses(mg.Optimizer)
EVERY_CLASS = sorted(
    {cls for base in KINDS.values() for cls in subclasses(base)}, key=lambda cls: cls.__name__
)

every_layer = every(LAYERS)
every_loss = every(LOSSES)
every_optimizer = every(OPTIMIZERS)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
one_and_many = pytest.mark.parametrize("size", [None, ENSEMBLE], ids=["one", "ensemble"])


def layer_case(cls, dtype=np.float64, size=None):
    """A model around a layer's example with changed parameters, and data."""
    model = mg.Sequential(
        [cls.example()], loss=mg.HalfSquaredError(), dtype=dtype, random_state=0, ensemble_size=size
    )
    rng = np.random.default_rng(1)
    model.params = model.params + 0.3 * rng.normal(size=model.params.shape)
    x = rng.normal(size=(BATCH, FEATURES))
    return model, x, rng.normal(size=(BATCH, model.out_features or FEATURES))


def loss_case(cls, dtype=np.float64, size=None):
    """A Dense layer (and a Softmax where the loss wants probabilities) under a loss's example."""
    loss, prediction, target = cls.example()
    layers = [mg.Dense(FEATURES, prediction.shape[-1])]
    if loss.expects_probabilities:
        layers.append(mg.Softmax() if cls is mg.CrossEntropy else mg.Sigmoid())
    model = mg.Sequential(layers, loss=loss, dtype=dtype, random_state=0, ensemble_size=size)
    x = np.random.default_rng(1).normal(size=(len(prediction), FEATURES))
    return model, x, target


CASES = [pytest.param(layer_case, cls, id=cls.__name__) for cls in LAYERS]
CASES += [pytest.param(loss_case, cls, id=cls.__name__) for cls in LOSSES]
every_case = pytest.mark.parametrize(("case", "cls"), CASES)
