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
from mlpgrad.adam import Adam, Adamax, AdamW, AMSGrad, NAdam, RAdam
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
from mlpgrad.optimizers import SGD, Adadelta, Adagrad, Lion, RMSprop, Rprop
from mlpgrad.penalties import L1, L2, Penalty
from mlpgrad.regression import (
    GaussianNLL,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
)
from mlpgrad.schedules import (
    ConstantSchedule,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    Schedule,
    StepDecay,
    WarmUp,
)
from mlpgrad.structure import Dropout, Residual, Softmax
from mlpgrad.training import DivergenceError

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
    from mlpgrad.persistence import load
    from mlpgrad.plotting import LayerSignals, LivePlot

__version__ = "0.1.0"

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
    "load": "mlpgrad.persistence",
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


def __dir__() -> list[str]:
    """Names that are imported on first use are completed, too."""
    return sorted({*globals(), *__all__})


__all__ = [
    "ELU",
    "GELU",
    "L1",
    "L2",
    "SELU",
    "SGD",
    "AMSGrad",
    "Accuracy",
    "Activation",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "BatchNorm",
    "BinaryCrossEntropy",
    "Callback",
    "Constant",
    "ConstantSchedule",
    "CosineDecay",
    "CrossEntropy",
    "Dense",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "Elementwise",
    "Explanation",
    "ExponentialDecay",
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
    "LayerSignals",
    "LeCunNormal",
    "LeCunUniform",
    "LeakyReLU",
    "Lion",
    "LivePlot",
    "Loss",
    "MeanAbsolute",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Mish",
    "ModelCheckpoint",
    "NAdam",
    "OneCycle",
    "Optimizer",
    "Orthogonal",
    "Penalty",
    "Poisson",
    "ProgressBar",
    "Quantile",
    "RAdam",
    "RMSprop",
    "ReLU",
    "ReduceOnPlateau",
    "Residual",
    "RootMeanSquared",
    "Rprop",
    "Schedule",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SigmoidCrossEntropy",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Softplus",
    "Softsign",
    "StepDecay",
    "Tanh",
    "WarmUp",
    "Zeros",
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
