"""Multilayer perceptrons trained by back-propagation in vectorized NumPy.

>>> import mlpgrad as mg
>>> x, y = mg.datasets.moons(200, noise=0.1, random_state=0)
>>> model = mg.Sequential([mg.Dense(2, 8), mg.Tanh(), mg.Dense(8, 1)],
...                       loss=mg.SigmoidCrossEntropy(), random_state=0)
>>> history = model.fit(x, y, optimizer=mg.Adam(1e-2), epochs=50, verbose=0)
>>> print(bool(mg.check_gradients(model, x[:16], y[:16])))
True
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from mlpgrad import (
    initializers,
    layers,
    losses,
    metrics,
    optimizers,
    penalties,
    training,
    uncertainty,
)
from mlpgrad._core.advice import unknown_member
from mlpgrad._core.version import __version__ as __version__
from mlpgrad.history import History
from mlpgrad.initializers import *
from mlpgrad.layers import *
from mlpgrad.loading import load
from mlpgrad.losses import *
from mlpgrad.metrics import *
from mlpgrad.optimizers import *
from mlpgrad.penalties import *
from mlpgrad.sequential import Sequential
from mlpgrad.training import *
from mlpgrad.uncertainty import *

if TYPE_CHECKING:
    from mlpgrad import datasets, plotting
    from mlpgrad.explanation import Explanation, explain
    from mlpgrad.gradcheck import (
        GradientReport,
        assert_gradients,
        check_gradient,
        check_gradients,
        check_hvp,
        check_layer,
        check_loss,
        check_vjp,
    )
    from mlpgrad.plotting import LayerSignals, LivePlot

# imported on first use: `import mlpgrad` costs little more than `import numpy`
_LATER = {
    "Explanation": "mlpgrad.explanation",
    "GradientReport": "mlpgrad.gradcheck",
    "LayerSignals": "mlpgrad.plotting",
    "LivePlot": "mlpgrad.plotting",
    "assert_gradients": "mlpgrad.gradcheck",
    "check_gradient": "mlpgrad.gradcheck",
    "check_gradients": "mlpgrad.gradcheck",
    "check_hvp": "mlpgrad.gradcheck",
    "check_layer": "mlpgrad.gradcheck",
    "check_loss": "mlpgrad.gradcheck",
    "check_vjp": "mlpgrad.gradcheck",
    "explain": "mlpgrad.explanation",
}

_APART = ("datasets", "gradcheck", "plotting", "tables")  # whose names are not collected here


def __getattr__(name: str) -> Any:
    """Functions of `_LATER` and submodules (`mg.datasets`, `mg.plotting`), on first use."""
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    try:
        return importlib.import_module(f"mlpgrad.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"mlpgrad.{name}":
            raise
        apart = [importlib.import_module(f"mlpgrad.{family}") for family in _APART]
        elsewhere = [f"mg.{m.__name__[8:]}.{known}" for m in apart for known in m.__all__]
        raise unknown_member(__name__, name, __all__, elsewhere) from None


def __dir__() -> list[str]:
    """Include the names that are imported on first use, so that completion offers them."""
    return sorted({*globals(), *__all__})


__all__ = [
    *initializers.__all__,
    *layers.__all__,
    *losses.__all__,
    *metrics.__all__,
    *optimizers.__all__,
    *penalties.__all__,
    *training.__all__,
    *uncertainty.__all__,
    "Explanation",
    "GradientReport",
    "History",
    "LayerSignals",
    "LivePlot",
    "Sequential",
    "assert_gradients",
    "check_gradient",
    "check_gradients",
    "check_hvp",
    "check_layer",
    "check_loss",
    "check_vjp",
    "datasets",
    "explain",
    "load",
    "plotting",
]
