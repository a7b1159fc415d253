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

from mlpgrad.activations import (
    ELU,
    GELU,
    SELU,
    Activation,
    Elementwise,
    Identity,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from mlpgrad.binary import BinaryCrossEntropy, Hinge, SigmoidCrossEntropy
from mlpgrad.callbacks import (
    Callback,
    EarlyStopping,
    ExponentialMovingAverage,
    ModelCheckpoint,
    ProgressBar,
    ReduceOnPlateau,
)
from mlpgrad.classification import CrossEntropy, SoftmaxCrossEntropy
from mlpgrad.history import History
from mlpgrad.initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    Initializer,
    LeCunNormal,
    LeCunUniform,
    Orthogonal,
    Zeros,
)
from mlpgrad.layers import Dense, Layer
from mlpgrad.losses import HalfSquaredError, Loss
from mlpgrad.metrics import Accuracy, MeanAbsolute, Metric, RootMeanSquared
from mlpgrad.model import Sequential
from mlpgrad.normalization import BatchNorm, LayerNorm
from mlpgrad.optimizer_base import Optimizer
from mlpgrad.optimizers import SGD, Adam
from mlpgrad.penalties import L1, L2, Penalty
from mlpgrad.regression import (
    GaussianNLL,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
)
from mlpgrad.structure import Dropout, Residual, Softmax
from mlpgrad.training import DivergenceError

if TYPE_CHECKING:
    from mlpgrad import datasets
    from mlpgrad.gradcheck import GradientReport, check_gradient, check_gradients

__version__ = "0.1.0"

# imported on first use: `import mlpgrad` costs little more than `import numpy`
_LATER = {
    "GradientReport": "mlpgrad.gradcheck",
    "check_gradient": "mlpgrad.gradcheck",
    "check_gradients": "mlpgrad.gradcheck",
}


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
        from mlpgrad._describe import nearest

        raise AttributeError(f"mlpgrad has no {name!r}{nearest(name, __all__)}") from None


__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "SELU",
    "SGD",
    "Accuracy",
    "Activation",
    "Adam",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Callback",
    "Constant",
    "CrossEntropy",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Elementwise",
    "ExponentialMovingAverage",
    "GaussianNLL",
    "GlorotNormal",
    "GlorotUniform",
    "GradientReport",
    "HalfSquaredError",
    "HeNormal",
    "HeUniform",
    "Hinge",
    "History",
    "Huber",
    "Identity",
    "Initializer",
    "Layer",
    "LayerNorm",
    "LeCunNormal",
    "LeCunUniform",
    "LeakyReLU",
    "Loss",
    "MeanAbsolute",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Mish",
    "ModelCheckpoint",
    "Optimizer",
    "Orthogonal",
    "Penalty",
    "Poisson",
    "ProgressBar",
    "Quantile",
    "ReLU",
    "ReduceOnPlateau",
    "Residual",
    "RootMeanSquared",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Softsign",
    "Tanh",
    "Zeros",
    "check_gradient",
    "check_gradients",
    "datasets",
]
